"""SIGTERM: what is under way is answered, nothing new is begun, and then the workers end."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.edge.test_edge_workers import Pop
from tests.edge.world import HOST


@pytest.fixture
async def pop(tmp_path: Path) -> AsyncIterator[Pop]:
    pop = Pop(tmp_path)
    await pop.start()
    yield pop
    pop.origin.hung = False
    await pop.stop()


async def test_a_request_under_way_is_answered_before_the_workers_end(pop: Pop) -> None:
    idle_reader, idle_writer = await asyncio.open_connection(HOST, pop.port)
    idle_writer.write(b"GET /0.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert await idle_reader.readuntil(b"\r\n\r\n")
    pop.origin.hung = True
    asked = len(pop.origin.requests)
    asking = asyncio.create_task(pop.get("/1.jpg"))
    while len(pop.origin.requests) == asked:
        await asyncio.sleep(0.01)
    pop.process.terminate()
    # A connection on which nothing is asked is closed at once; that is how clients learn of it.
    await asyncio.wait_for(idle_reader.read(), 5)
    assert not asking.done() and pop.process.returncode is None
    pop.origin.hung = False
    answer = await asking
    assert answer.status_code == 200 and answer.content == b"original" * 100
    assert await asyncio.wait_for(pop.process.wait(), 60) == 0
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(HOST, pop.port)
