"""An answer on its way through holds its connection no longer than somebody reads it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from edge.passing import Passing


async def pieces() -> AsyncIterator[bytes]:
    yield b"piece"


async def test_whoever_takes_it_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.passing._UNTAKEN_S", 0.01)
    held, closed = AsyncExitStack(), asyncio.Event()
    held.callback(closed.set)
    async with Passing(200, (), pieces(), held) as passing:
        await asyncio.sleep(0.05)
        assert [piece async for piece in passing.pieces] == [b"piece"]
        assert not closed.is_set()
    assert closed.is_set()


async def test_one_that_nobody_takes_closes_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.passing._UNTAKEN_S", 0.01)
    held, closed = AsyncExitStack(), asyncio.Event()
    held.callback(closed.set)
    passing = Passing(200, (), pieces(), held)
    await asyncio.wait_for(closed.wait(), 60)
    assert passing.status == 200
