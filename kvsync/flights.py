"""Work under way, by name: whoever asks for the same while it runs shares it."""

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Sharing:
    """Whom a flight takes along: ``most`` others, none once it is ``young_s`` old.

    A flight that is slow or crowded is left to those aboard. The next one to ask starts another,
    so that one stuck leader does not hold up everybody after it.
    """

    most: float = math.inf
    young_s: float = math.inf

    def takes(self, aboard: int, age_s: float) -> bool:
        return aboard < self.most and age_s < self.young_s


@dataclass(slots=True)
class _Flight(Generic[Result]):
    task: asyncio.Task[Result]
    begun: float
    aboard: int = 0


class Flights(Generic[Name, Result]):
    """One running task per name for as long as ``sharing`` lets others join it. A task outlives
    those who wait for it, the first one included: shield it when waiting."""

    def __init__(
        self, sharing: Sharing | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sharing = sharing or Sharing()
        self._clock = clock
        self._by_name: dict[Name, _Flight[Result]] = {}
        self._running: set[asyncio.Task[Result]] = set()

    def get(self, name: Name) -> asyncio.Task[Result] | None:
        """The task to share; None where none runs, or where it takes nobody else."""
        flight = self._by_name.get(name)
        if flight is None or flight.task.done():
            return None
        if not self._sharing.takes(flight.aboard, self._clock() - flight.begun):
            return None
        flight.aboard += 1
        return flight.task

    def begin(self, name: Name, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Start ``work``; the caller has seen that there is none of this name to share."""
        task = asyncio.create_task(work)
        self._by_name[name] = _Flight(task, self._clock())
        self._running.add(task)
        task.add_done_callback(lambda landed: self._landed(name, landed))
        return task

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
        flight = self._by_name.get(name)
        if flight is not None and flight.task is task:
            del self._by_name[name]
        if not task.cancelled():
            # Its waiters may have left at their deadlines; asyncio would complain about that.
            task.exception()
