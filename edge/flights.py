"""Concurrent misses of one thing share one fill."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from kvsync.errors import OriginUnavailable

Landed = TypeVar("Landed")


class Flights(Generic[Landed]):
    """Work in progress by key. A fill is a task of its own, so that a client which goes away,
    the first one included, takes nothing from the others."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Task[Landed]] = {}
        self._all: set[asyncio.Task[Landed]] = set()

    async def join(
        self,
        key: Hashable,
        start: Callable[[], Coroutine[Any, Any, Landed]],
        *,
        patience_s: float,
    ) -> tuple[Landed, bool]:
        """What came of the work under ``key``, started here unless it is under way (then True).

        Raises :class:`OriginUnavailable` after ``patience_s`` of waiting.
        """
        task = self._under_way.get(key)
        joined = task is not None
        if task is None:
            task = self._under_way[key] = asyncio.create_task(start())
            self._all.add(task)
            task.add_done_callback(lambda done: self._landed(key, done))
        try:
            async with asyncio.timeout(patience_s):
                return await asyncio.shield(task), joined
        except TimeoutError as error:
            raise OriginUnavailable(f"no answer within {patience_s:.1f} s; try again") from error

    def forget(self) -> None:
        """Whoever comes from now on starts anew: what is under way may be out of date."""
        self._under_way.clear()

    async def drain(self) -> None:
        """Cancel what is under way and wait until it is gone."""
        for task in self._all:
            task.cancel()
        await asyncio.gather(*self._all, return_exceptions=True)

    def _landed(self, key: Hashable, task: asyncio.Task[Landed]) -> None:
        self._all.discard(task)
        if self._under_way.get(key) is task:
            del self._under_way[key]
