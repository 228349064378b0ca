"""``python -m edge`` as operators run it: one clear line when it cannot start, a clean stop."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx2
import pytest

from edge.server import listen
from edge.settings import read_settings
from kvsync.errors import InputError
from kvsync.signing import Keyring, SigningKey

HOST = "127.0.0.1"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    Keyring((SigningKey.generate().trusted_for(["rumba"]),)).write(tmp_path / "keys.json")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("EDGE_")},
        "EDGE_PORT": str(free_port()),
        "EDGE_ADMIN_PORT": str(free_port()),
        "EDGE_TRUSTED_KEYS": str(tmp_path / "keys.json"),
        "EDGE_ORIGIN_URL": "http://127.0.0.1:9",
        "EDGE_CACHE_DIR": str(tmp_path / "cache"),
        "EDGE_CACHE_BYTES": str(1 << 20),
    }


def free_port() -> int:
    with listen("PORT", HOST, 0) as sock:
        return int(sock.getsockname()[1])


async def start(environment: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edge", env=environment, stderr=asyncio.subprocess.PIPE
    )


async def refusal(environment: dict[str, str]) -> str:
    process = await start(environment)
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    line = errors.decode()
    assert line.count("\n") == 1 and line.startswith("edge: ")
    return line


async def test_it_serves_and_stops_on_sigterm(environment: dict[str, str]) -> None:
    process = await start(environment)
    admin = f"http://{HOST}:{environment['EDGE_ADMIN_PORT']}"
    async with httpx2.AsyncClient() as client:
        for _ in range(1_200):
            await asyncio.sleep(0.05)
            try:
                ready = await client.get(f"{admin}/readyz")
                break
            except httpx2.HTTPError:
                continue
        answer = await client.get(f"http://{HOST}:{environment['EDGE_PORT']}/../x%2e")
    assert ready.json()["ready"] and answer.status_code in (400, 504)
    process.send_signal(signal.SIGTERM)
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0 and errors == b""


async def test_a_busy_port_is_told_in_one_line(environment: dict[str, str]) -> None:
    with listen("PORT", HOST, 0) as sock:
        port = str(sock.getsockname()[1])
        line = await refusal({**environment, "EDGE_PORT": port})
    assert "EDGE_PORT" in line and port in line and "in use" in line


async def test_an_unwritable_cache_folder_is_told_in_one_line(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    line = await refusal({**environment, "EDGE_CACHE_DIR": str(tmp_path / "file" / "cache")})
    assert "cannot keep a cache there" in line


async def test_a_missing_keys_file_is_told_in_one_line(environment: dict[str, str]) -> None:
    line = await refusal({**environment, "EDGE_TRUSTED_KEYS": "/nowhere/keys.json"})
    assert "/nowhere/keys.json: cannot read trusted keys" in line


async def test_a_missing_setting_is_told_in_one_line(environment: dict[str, str]) -> None:
    del environment["EDGE_ORIGIN_URL"]
    assert "EDGE_ORIGIN_URL: Field required" in await refusal(environment)


@pytest.mark.parametrize("text", ["http://a:1, http://b:2", '["http://a:1", "http://b:2"]'])
def test_regions_are_a_list_with_commas_or_json(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    for name, value in {**environment, "EDGE_REGION_URLS": text}.items():
        monkeypatch.setenv(name, value)
    assert read_settings().region_urls == ("http://a:1", "http://b:2")
    monkeypatch.setenv("EDGE_REGION_URLS", "ftp://a")
    with pytest.raises(InputError, match="EDGE_REGION_URLS"):
        read_settings()
