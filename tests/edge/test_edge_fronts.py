"""Caches in front are told of a purge twice: an answer may have been on its way there."""

from collections.abc import Sequence

import pytest

from edge.fronts import Fronts, FrontUnavailable

Tags = Sequence[str] | None


class Shy:
    """A cache in front that notes what it is told; ``failing`` are the calls that it misses."""

    def __init__(self, *failing: int) -> None:
        self.told: list[Tags] = []
        self._failing = failing

    async def purge(self, tags: Tags) -> None:
        self.told.append(tags)
        if len(self.told) in self._failing:
            raise FrontUnavailable("a cache in front is away")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.fronts.SECOND_ROUND_S", 0.01)


@pytest.mark.parametrize("tags", [("one", "two"), None])
async def test_what_had_just_left_the_edge_is_met_by_a_second_round(tags: Tags) -> None:
    shy = Shy()
    fronts = Fronts([shy])
    await fronts.purge(tags)
    assert shy.told == [tags]
    await fronts.close()
    assert shy.told == [tags, tags]


async def test_one_that_was_away_for_the_second_round_is_told_when_it_is_back() -> None:
    shy = Shy(2, 3)
    fronts = Fronts([shy])
    await fronts.purge(("one",))
    await fronts.close()
    assert len(shy.told) == 4


async def test_one_that_stays_away_is_told_to_operators(caplog: pytest.LogCaptureFixture) -> None:
    fronts = Fronts([Shy(*range(2, 20))])
    await fronts.purge(("one",))
    await fronts.close()
    assert "away" in caplog.text


async def test_one_that_was_away_at_first_makes_the_purge_fail() -> None:
    with pytest.raises(FrontUnavailable):
        await Fronts([Shy(1)]).purge(("one",))
