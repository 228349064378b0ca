import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvsync.flights import Flights, Sharing


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


async def test_a_crowded_flight_takes_nobody_else() -> None:
    flights: Flights[str, int] = Flights(Sharing(most=2))
    landing = asyncio.Event()
    first = flights.begin("a", answer(1, landing))
    assert flights.get("a") is first and flights.get("a") is first
    assert flights.get("a") is None
    second = flights.begin("a", answer(2, landing))
    assert flights.get("a") is second and len(flights) == 2
    landing.set()
    assert [*await asyncio.gather(first, second)] == [1, 2]
    assert flights.get("a") is None and len(flights) == 0


async def test_a_slow_flight_is_left_to_those_aboard() -> None:
    now = 0.0
    flights: Flights[str, int] = Flights(Sharing(young_s=1.0), clock=lambda: now)
    stuck, landing = asyncio.Event(), asyncio.Event()
    slow = flights.begin("a", answer(1, stuck))
    now = 0.99
    assert flights.get("a") is slow
    now = 1.0
    assert flights.get("a") is None
    quick = flights.begin("a", answer(2, landing))
    landing.set()
    assert await quick == 2
    stuck.set()
    assert await slow == 1 and flights.get("a") is None


@given(
    st.lists(st.floats(0.0, 2.0), min_size=1, max_size=50),
    st.integers(0, 5),
    st.floats(0.1, 5.0),
)
async def test_no_flight_is_shared_by_more_or_for_longer_than_agreed(
    pauses: list[float], most: int, young_s: float
) -> None:
    now = 0.0
    flights: Flights[str, int] = Flights(Sharing(most, young_s), clock=lambda: now)
    never = asyncio.Event()
    aboard: dict[asyncio.Task[int], list[float]] = {}
    for pause in pauses:
        now += pause
        task = flights.get("a")
        if task is None:
            aboard[flights.begin("a", answer(0, never))] = [now]
        else:
            aboard[task].append(now)
    for begun, *joined in aboard.values():
        assert len(joined) <= most
        assert all(moment - begun < young_s for moment in joined)
    await flights.close()
