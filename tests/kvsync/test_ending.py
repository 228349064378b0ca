import asyncio
from contextlib import suppress

import pytest

from kvsync.ending import cancellable, end


async def loses_a_cancellation() -> None:
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(60)


async def test_a_cancellation_that_was_lost_is_raised_all_the_same() -> None:
    task = asyncio.create_task(cancellable(loses_a_cancellation()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_answer_and_an_error_come_through_as_they_are() -> None:
    async def refuses() -> None:
        raise ValueError("no")

    assert await cancellable(asyncio.sleep(0, "answer")) == "answer"
    with pytest.raises(ValueError, match="no"):
        await cancellable(refuses())


async def test_a_task_that_loses_a_cancellation_is_ended_all_the_same() -> None:
    async def goes_on() -> None:
        await loses_a_cancellation()
        await asyncio.sleep(60)

    task = asyncio.create_task(goes_on())
    await asyncio.sleep(0)
    await end([task])
    assert task.cancelled()
