"""A bounded share of ``./rehydrate bench fuzz --full``, and that the same seed means the same."""

import asyncio
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench._hostile import hostile_request, hostile_requests
from bench.fuzz import Found, attack, fuzz, running_edge


def test_a_seed_repeats_its_cases() -> None:
    first, again, other = (list(islice(hostile_requests(seed), 50)) for seed in (1, 1, 2))
    assert first == again != other
    assert all(case.endswith((b"\n", b"\x00" * 50, b"hello")) for case in first)


@pytest.mark.slow
async def test_hostile_requests_end_in_no_500_no_hang_and_no_torn_part() -> None:
    found = await fuzz(2_000, seed=20_261_121)
    assert found.failed == [] and found.hung == [] and found.torn == []
    assert found.statuses["200"] > 300 and found.statuses["206"] > 5


@pytest.mark.slow
def test_what_hypothesis_finds_is_no_500_no_hang_and_no_torn_part(tmp_path: Path) -> None:
    """It throws the dice of the same grammar, and makes a case that it finds as short as it can."""
    with asyncio.Runner() as runner:
        edge = running_edge(tmp_path)
        port = runner.run(edge.__aenter__())

        @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.randoms(use_true_random=False))
        def judged(dice: Random) -> None:
            found = Found()
            runner.run(attack(port, iter([hostile_request(dice)]), found))
            assert found.failed == [] and found.hung == [] and found.torn == []

        try:
            judged()
        finally:
            runner.run(edge.__aexit__(None, None, None))
