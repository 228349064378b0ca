import asyncio

import pytest

from edge.gate import Gate
from kvsync.errors import Overloaded


async def stay(gate: Gate, leave: asyncio.Event) -> str:
    async with gate.passage():
        await leave.wait()
    return "been inside"


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_whoever_fits_neither_inside_nor_in_the_queue_is_told_at_once() -> None:
    gate, leave = Gate("the origin", 2, queue=1, wait_s=60), asyncio.Event()
    first = [asyncio.create_task(stay(gate, leave)) for _ in range(3)]
    await settled()
    assert (gate.inside, gate.waiting) == (2, 1)
    with pytest.raises(Overloaded, match="the origin"):
        await stay(gate, leave)
    leave.set()
    assert await asyncio.gather(*first) == ["been inside"] * 3
    assert (gate.inside, gate.waiting, gate.turned_away) == (0, 0, 1)


async def test_nobody_waits_longer_than_allowed() -> None:
    gate, leave = Gate("a region", 1, queue=5, wait_s=0.01), asyncio.Event()
    inside = asyncio.create_task(stay(gate, leave))
    await settled()
    with pytest.raises(Overloaded):
        await stay(gate, leave)
    leave.set()
    await inside
    assert await stay(gate, leave) == "been inside"


async def test_who_gives_up_leaves_no_place_taken() -> None:
    gate, leave = Gate("the origin", 1, queue=5, wait_s=60), asyncio.Event()
    tasks = [asyncio.create_task(stay(gate, leave)) for _ in range(3)]
    await settled()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    leave.set()
    assert await stay(gate, leave) == "been inside" and gate.inside == gate.waiting == 0
