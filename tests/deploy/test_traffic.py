"""Sample traffic looks like shoppers', says that it is none, and bears an edge that goes away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from itertools import cycle

import pytest

from bench._trace import Wanted
from deploy.layout import HOST, free_ports
from deploy.traffic import AGENT, visit

WANTED = Wanted("/rumba/a.jpg", "image/avif,*/*;q=0.8", 384)


def wanted() -> Iterator[Wanted]:
    return cycle((WANTED,))


@pytest.fixture
async def asked() -> AsyncIterator[tuple[int, "asyncio.Queue[str]"]]:
    """A port, and the requests that came to it."""
    requests: asyncio.Queue[str] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                requests.put_nowait((await reader.readuntil(b"\r\n\r\n")).decode())
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        writer.close()

    server = await asyncio.start_server(answer, HOST, 0)
    yield server.sockets[0].getsockname()[1], requests
    server.close()


async def test_it_asks_for_images_and_says_what_it_is(
    asked: tuple[int, "asyncio.Queue[str]"],
) -> None:
    port, requests = asked
    visiting = asyncio.create_task(visit(port, wanted(), per_second=200))
    head = (await requests.get()).lower()
    visiting.cancel()
    assert head.startswith("get /rumba/a.jpg?w=384 http/1.1\r\n")
    assert f"accept: {WANTED.accept}\r\n" in head
    assert f"user-agent: {AGENT}\r\n" in head


async def test_an_edge_that_is_gone_is_asked_again() -> None:
    (port,) = free_ports(1)
    visiting = asyncio.create_task(visit(port, wanted(), per_second=500))
    await asyncio.sleep(0.1)
    assert not visiting.done()
    visiting.cancel()
