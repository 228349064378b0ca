"""Two ways to one answer: the first good one counts, and none is left running."""

import asyncio
from dataclasses import dataclass, field

import pytest

from edge.race import overtaken


@dataclass
class Race:
    """Runs one; ``first`` and ``second`` end when told, with a word that is good or bad."""

    late: "asyncio.Future[None]" = field(default_factory=asyncio.Future)
    first: "asyncio.Future[str]" = field(default_factory=asyncio.Future)
    second: "asyncio.Future[str]" = field(default_factory=asyncio.Future)
    begun: int = 0

    async def run(self) -> str | None:
        async def wait_first() -> str:
            return await self.first

        async def wait_second() -> str:
            self.begun += 1
            return await self.second

        self.task = asyncio.create_task(wait_first())
        return await overtaken(
            self.task,
            self.late,
            wait_second,
            first_good=lambda word: word == "good",
            second_good=lambda word: word == "good",
        )


@pytest.fixture
async def race() -> Race:
    return Race()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_in_time_the_first_is_the_answer_and_no_second_begins(race: Race) -> None:
    for word in ("good", "bad"):
        race.first, race.late = asyncio.Future(), asyncio.Future()
        running = asyncio.create_task(race.run())
        await settled()
        race.first.set_result(word)
        assert await running is None and race.task.result() == word and race.begun == 0


@pytest.mark.parametrize(
    ("order", "answer"),
    [
        ([("second", "good")], "good"),
        ([("first", "good")], None),
        ([("first", "bad"), ("second", "good")], "good"),
        ([("first", "bad"), ("second", "bad")], "bad"),
        ([("second", "bad"), ("first", "good")], None),
        ([("second", "bad"), ("first", "bad")], "bad"),
    ],
)
async def test_of_two_the_first_good_one_counts_else_the_second(
    race: Race, order: list[tuple[str, str]], answer: str | None
) -> None:
    running = asyncio.create_task(race.run())
    await settled()
    race.late.set_result(None)
    await settled()
    assert race.begun == 1
    for name, word in order:
        assert not running.done()
        getattr(race, name).set_result(word)
        await settled()
    assert await running == answer


async def test_whoever_is_not_needed_is_cancelled(race: Race) -> None:
    running = asyncio.create_task(race.run())
    race.late.set_result(None)
    await settled()
    running.cancel()
    await settled()
    assert race.first.cancelled() and race.second.cancelled()
