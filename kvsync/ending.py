"""Ending tasks for certain. Before Python 3.12 ``asyncio.wait_for`` returns what it waited for, and
loses the cancellation, when both come at once; the Redis client sends by it."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")

_AGAIN_S = 0.5


async def cancellable(work: Awaitable[T]) -> T:
    """What ``work`` comes to, or ``CancelledError`` if this task was cancelled meanwhile."""
    task = asyncio.current_task()
    told_before = task.cancelling() if task is not None else 0
    try:
        return await work
    finally:
        if task is not None and task.cancelling() > told_before:
            raise asyncio.CancelledError


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until each has ended; what they raised is theirs."""
    every = tuple(tasks)
    running = {task for task in every if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=_AGAIN_S)
    await asyncio.gather(*every, return_exceptions=True)
