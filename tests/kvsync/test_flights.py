import asyncio

import pytest

from kvsync.flights import Flights


async def answer(value: int, after: asyncio.Event) -> int:
    await after.wait()
    return value


async def test_work_under_way_is_found_and_forgotten_once_done() -> None:
    flights: Flights[str, int] = Flights()
    landing = asyncio.Event()
    task = flights.begin("a", answer(7, landing))
    assert flights.get("a") is task and flights.get("b") is None
    landing.set()
    assert await task == 7
    assert flights.get("a") is None and len(flights) == 0


async def test_work_goes_on_when_the_one_who_began_it_leaves() -> None:
    flights: Flights[str, int] = Flights()
    landing = asyncio.Event()
    task = flights.begin("a", answer(7, landing))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(task), 0.01)
    landing.set()
    assert await task == 7


async def test_closing_ends_what_still_runs() -> None:
    flights: Flights[str, int] = Flights()
    task = flights.begin("a", answer(7, asyncio.Event()))
    await flights.close()
    assert task.cancelled() and len(flights) == 0


async def test_whoever_comes_after_forgetting_starts_anew() -> None:
    flights: Flights[str, int] = Flights()
    landing = asyncio.Event()
    outdated = flights.begin("a", answer(7, landing))
    flights.forget()
    assert flights.get("a") is None
    fresh = flights.begin("a", answer(8, landing))
    landing.set()
    assert (await outdated, await fresh) == (7, 8)


async def test_closing_ends_what_was_forgotten_too() -> None:
    flights: Flights[str, int] = Flights()
    task = flights.begin("a", answer(7, asyncio.Event()))
    flights.forget()
    await flights.close()
    assert task.cancelled()
