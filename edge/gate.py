"""Bounded concurrency towards a peer: who does not fit is told at once, while it can still go
elsewhere, instead of standing in a queue that only grows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kvsync.errors import Overloaded


class Gate:
    """``limit`` at a time; ``queue`` more may wait, each for ``wait_s`` at most."""

    def __init__(self, name: str, limit: int, *, queue: int = 0, wait_s: float = 0.0) -> None:
        self._name = name
        self._free = asyncio.Semaphore(limit)
        self._queue = queue
        self._wait_s = wait_s
        self.inside = self.waiting = self.turned_away = 0

    @asynccontextmanager
    async def passage(self) -> AsyncIterator[None]:
        """Be inside; raises :class:`Overloaded` when there is no room."""
        await self._enter()
        try:
            yield
        finally:
            self.inside -= 1
            self._free.release()

    async def _enter(self) -> None:
        if self._free.locked():
            await self._wait()
        else:
            await self._free.acquire()
        self.inside += 1

    async def _wait(self) -> None:
        if self.waiting >= self._queue:
            self._turn_away()
        self.waiting += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError:
            self._turn_away()
        finally:
            self.waiting -= 1

    def _turn_away(self) -> None:
        self.turned_away += 1
        raise Overloaded(f"too many requests for {self._name} at once; try again shortly")
