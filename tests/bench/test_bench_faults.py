"""``./rehydrate bench faults``: its matrix, and a short run of it."""

from pathlib import Path

import pytest
from rich.console import Console

from bench._faults import DISK_FULL, DISK_READ_ONLY, WORKER_KILLED, matrix
from bench.faults import measure


def names(full: bool) -> list[str]:
    return [" + ".join(one.name for one in together) for together in matrix(full)]


def test_the_default_run_breaks_each_part_and_pairs_with_a_black_hole() -> None:
    run = names(full=False)
    for part in ("region", "kv", "origin"):
        for how in ("refuse", "black hole", "slow drip", "SIGSTOP"):
            assert f"{part} {how}" in run
    assert {DISK_FULL.name, DISK_READ_ONLY.name, WORKER_KILLED.name} <= set(run)
    for pair in (
        "region black hole + kv black hole",
        "region black hole + origin black hole",
        "kv black hole + origin black hole",
        "origin black hole + disk full",
        "disk full + worker kill -9",
    ):
        assert pair in run
    assert len(run) == len(set(run)) == 25


def test_the_full_run_has_every_pair_of_faults_of_different_parts() -> None:
    run = names(full=True)
    assert set(names(full=False)) < set(run) and len(run) == len(set(run))
    assert "region half-closed + origin latency" in run
    assert "kv slow drip + disk read-only" in run


@pytest.mark.slow
async def test_nothing_fails_while_a_region_is_silent_and_a_worker_is_killed(
    tmp_path: Path,
) -> None:
    silent = next(one for one in matrix(False) if one[0].name == "region black hole")
    walk = await measure(tmp_path, [silent, (WORKER_KILLED,)], (2.0, 1.0), Console(quiet=True))
    assert sum(one.requests for one in walk.tallies) > 100
    assert walk.orphans == 0
    for one in walk.tallies:
        assert (one.failed, one.unapproved, one.wrong_bytes) == (0, 0, 0), one
