"""A bounded share of ``./rehydrate bench fuzz --full``, and that the same seed means the same."""

from itertools import islice

import pytest

from bench._hostile import hostile_requests
from bench.fuzz import fuzz


def test_a_seed_repeats_its_cases() -> None:
    first, again, other = (list(islice(hostile_requests(seed), 50)) for seed in (1, 1, 2))
    assert first == again != other
    assert all(case.endswith((b"\n", b"\x00" * 50, b"hello")) for case in first)


@pytest.mark.slow
async def test_hostile_requests_end_in_no_500_no_hang_and_no_torn_part() -> None:
    found = await fuzz(2_000, seed=20_261_121)
    assert found.failed == [] and found.hung == [] and found.torn == []
    assert found.statuses["200"] > 300 and found.statuses["206"] > 5
