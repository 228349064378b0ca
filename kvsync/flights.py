"""Work under way, by name: whoever asks for the same while it runs shares it."""

import asyncio
from collections.abc import Coroutine, Hashable
from typing import Any, Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)
Result = TypeVar("Result")


class Flights(Generic[Name, Result]):
    """At most one running task per name. It outlives those who wait for it, the first one
    included: shield it when waiting."""

    def __init__(self) -> None:
        self._by_name: dict[Name, asyncio.Task[Result]] = {}
        self._running: set[asyncio.Task[Result]] = set()

    def get(self, name: Name) -> asyncio.Task[Result] | None:
        task = self._by_name.get(name)
        return None if task is None or task.done() else task

    def begin(self, name: Name, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Start ``work``; the caller has seen that nothing of this name runs."""
        task = asyncio.create_task(work)
        self._by_name[name] = task
        self._running.add(task)
        task.add_done_callback(lambda landed: self._landed(name, landed))
        return task

    def forget(self) -> None:
        """Whoever comes from now on starts anew: what is under way may be out of date."""
        self._by_name.clear()

    def __len__(self) -> int:
        return len(self._running)

    async def close(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _landed(self, name: Name, task: asyncio.Task[Result]) -> None:
        self._running.discard(task)
        if self._by_name.get(name) is task:
            del self._by_name[name]
        if not task.cancelled():
            # Its waiters may have left at their deadlines; asyncio would complain about that.
            task.exception()
