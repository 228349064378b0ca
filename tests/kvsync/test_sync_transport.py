"""An agent's connections, on the event loop that it runs on."""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator

import httpx2
import pytest
import uvloop

from kvsync.agent.transport import Transport

_RESET = struct.pack("ii", 1, 0)


@pytest.fixture
def resetting() -> Iterator[str]:
    """A server that resets every connection as soon as it is made."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        server.shutdown(socket.SHUT_RDWR)


def test_a_connection_that_is_reset_as_it_is_made_is_a_peer_that_is_gone(resetting: str) -> None:
    async def ask_often() -> list[httpx2.Response | BaseException]:
        async with httpx2.AsyncClient(transport=Transport()) as client:
            found: list[httpx2.Response | BaseException] = []
            for _ in range(20):
                asked = (client.get(resetting) for _ in range(20))
                found += await asyncio.gather(*asked, return_exceptions=True)
            return found

    for outcome in uvloop.run(ask_often()):
        assert isinstance(outcome, httpx2.TransportError), repr(outcome)
