"""Two ways to one answer at the same time, when the first is late."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

First = TypeVar("First")
Second = TypeVar("Second")


async def overtaken(
    first: asyncio.Task[First],
    late: asyncio.Future[None],
    begin_second: Callable[[], Coroutine[Any, Any, Second]],
    *,
    first_good: Callable[[First], bool],
    second_good: Callable[[Second], bool],
) -> Second | None:
    """What the second way came to, where that is the answer; None where the first one's is.

    The second begins when ``late`` is done. The first good answer counts, and of two bad ones the
    second. Whichever is not needed is cancelled.
    """
    second: asyncio.Task[Second] | None = None
    try:
        either: tuple[asyncio.Future[Any], ...] = (first, late)
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if first.done():
            return None
        second = asyncio.create_task(begin_second())
        await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
        if second.done() and second_good(second.result()):
            return second.result()
        if first_good(await first):
            return None
        return await second
    finally:
        for task in (late, first, second):
            if task is not None:
                task.cancel()
