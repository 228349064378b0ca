"""Work under way, by name: whoever asks for the same while it runs shares it."""

import asyncio
from collections.abc import Coroutine, Hashable
from typing import Any, Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)
Result = TypeVar("Result")


class Flights(Generic[Name, Result]):
    """At most one running task per name. A task outlives those who wait for it: its result is
    kept by whoever began it, so the next one asking is better off."""

    def __init__(self) -> None:
        self._tasks: dict[Name, asyncio.Task[Result]] = {}

    def get(self, name: Name) -> asyncio.Task[Result] | None:
        task = self._tasks.get(name)
        return None if task is None or task.done() else task

    def begin(self, name: Name, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Start ``work``; the caller has seen that nothing of this name runs."""
        task = asyncio.create_task(work)
        self._tasks[name] = task
        task.add_done_callback(lambda landed: self._forget(name, landed))
        return task

    def __len__(self) -> int:
        return len(self._tasks)

    async def close(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, name: Name, landed: asyncio.Task[Result]) -> None:
        if self._tasks.get(name) is landed:
            del self._tasks[name]
        if not landed.cancelled():
            # Its waiters may have left at their deadlines; asyncio would complain about that.
            landed.exception()
