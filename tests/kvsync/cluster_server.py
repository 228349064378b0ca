"""A cluster as far as names are concerned."""

import socket
import time
from collections.abc import Iterator

import pytest
from redis import Redis

from tests.conftest import start_valkey


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One node that has all slots: it refuses what spans two of them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        bus = {"cluster-enabled": "yes", "cluster-port": str(probe.getsockname()[1])}
    server = start_valkey(tmp_path_factory.mktemp("cluster"), **bus)
    with Redis.from_url(server.connection_url) as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        deadline = time.monotonic() + 60
        while b"cluster_state:ok" not in client.execute_command("CLUSTER", "INFO"):
            assert time.monotonic() < deadline, "the cluster does not form"
            time.sleep(0.05)
    yield server.connection_url.replace("redis://", "redis+cluster://")
    server.stop()
