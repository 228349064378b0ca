"""Servers that tests of several regions share."""

from collections.abc import Iterator

import pytest

from tests.conftest import start_valkey


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The origin's own server, and one for each of three regions."""
    folder = tmp_path_factory.mktemp("valkeys")
    running = [start_valkey(folder / str(number)) for number in range(4)]
    yield [server.connection_url for server in running]
    for server in running:
        server.terminate()
