"""``python -m regional_gpu`` as a process of its own: what a person sees when it cannot start."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from kvsync.signing import Keyring, SigningKey

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    trusted = tmp_path / "trusted.json"
    Keyring((SigningKey.generate().trusted_for(["rumba"]),)).write(trusted)
    return {
        **os.environ,
        "REGION_PORT": "0",
        "REGION_TRUSTED_KEYS": str(trusted),
        "REGION_MODELS_DIR": str(tmp_path / "models"),
        "REGION_LEDGER_DIR": str(tmp_path / "ledger"),
        "REGION_RENDITIONS_DIR": str(tmp_path / "renditions"),
    }


def refusal(environment: dict[str, str]) -> str:
    """The one line on stderr of a region that exits with code 1."""
    command = [sys.executable, "-m", "regional_gpu"]
    run = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )
    assert run.returncode == 1 and run.stdout == ""
    lines = run.stderr.splitlines()
    assert len(lines) == 1, run.stderr
    return lines[0]


def test_a_busy_port_is_named(environment: dict[str, str]) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        line = refusal({**environment, "REGION_PORT": port})
    assert f"127.0.0.1:{port}" in line and "REGION_PORT" in line


@pytest.mark.parametrize("setting", ["REGION_MODELS_DIR", "REGION_RENDITIONS_DIR"])
def test_a_folder_that_cannot_be_written_is_named(
    environment: dict[str, str], tmp_path: Path, setting: str
) -> None:
    occupied = tmp_path / "a file"
    occupied.touch()
    line = refusal({**environment, setting: str(occupied / "folder")})
    assert str(occupied) in line and "cannot keep" in line


def test_missing_trusted_keys_are_named(environment: dict[str, str]) -> None:
    line = refusal({**environment, "REGION_TRUSTED_KEYS": "/nowhere/trusted.json"})
    assert line == (
        "region: /nowhere/trusted.json: cannot read trusted keys: No such file or directory"
    )


def test_every_wrong_setting_is_named(environment: dict[str, str]) -> None:
    wrong = {"PORT": "http", "MAX_BATCH": "0", "ORIGIN_URL": "nonsense", "DEVICE": "toaster"}
    line = refusal({**environment, **{f"REGION_{name}": text for name, text in wrong.items()}})
    assert all(f"REGION_{name}" in line for name in wrong)


@contextmanager
def running(environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "regional_gpu"],
        env={**environment, "REGION_PORT": str(port)},
        cwd=ROOT,
        stderr=subprocess.PIPE,
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def wait_ready(url: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if httpx2.get(f"{url}/readyz").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError("the region did not become ready")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_answers_and_stops_when_asked(
    environment: dict[str, str], number: signal.Signals
) -> None:
    with running(environment) as (process, url):
        wait_ready(url)
        assert "region_generations_total" in httpx2.get(f"{url}/metrics").text
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stderr is not None and process.stderr.read() == b""
