"""What the origin draws for people to judge costs money too, and stands in the ledger."""

import datetime
import time
from pathlib import Path

import numpy as np
import pytest

from deploy.layout import SAMPLE
from deploy.sample import APPROVED
from origin.approved import read_approved
from origin.database import Database
from origin.ledger.own_work import THE_ORIGIN, OwnWork
from origin.ledger.reading import Reader
from origin.ledger.running import running
from origin.ledger.spans import Period
from origin.verify import take_over
from origin.workplace import open_workplace
from tests.origin.dashboard.ledger_world import FAMILY, SHOP, moment

NOON = moment("2026-11-21 12:00")
DAY = Period(int(NOON) - 12 * 3600, int(NOON) + 12 * 3600, datetime.date(2026, 11, 21))


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(Database(f"sqlite:///{tmp_path}/origin.db"))


def compute(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_a_run_is_told_whole_when_it_ends(reader: Reader) -> None:
    begun = time.monotonic()
    with OwnWork(reader.database, SHOP, FAMILY, clock=lambda: NOON) as own:
        compute(0.05)
        own.made(8)
        own.made(8)
        assert reader.work(("region",), DAY) == []
    held = time.monotonic() - begun
    (work,) = reader.work(("region", "property", "family", "purpose"), DAY)
    assert work.labels == (THE_ORIGIN, SHOP, FAMILY, "qa")
    assert work["images"] == 16 and work["generate_s"] >= 0.05
    # Telling it takes time as well, which is not held any more.
    assert 0 < reader.held(DAY)[0]["allocated_s"] <= held


def test_what_failed_in_the_end_took_its_time_all_the_same(reader: Reader) -> None:
    with (
        pytest.raises(ValueError, match="broke"),
        OwnWork(reader.database, SHOP, FAMILY, clock=lambda: NOON) as own,
    ):
        own.made(1)
        raise ValueError("broke")
    assert reader.work(("region",), DAY)[0]["images"] == 1


def test_it_is_a_cost_of_its_own_and_no_region_s(reader: Reader) -> None:
    with OwnWork(reader.database, SHOP, FAMILY, clock=lambda: NOON) as own:
        compute(0.02)
        own.made(1)
    found = running(reader, [DAY])
    place = np.array([found.places.index((SHOP, THE_ORIGIN))])
    seconds = found.counted((np.array([0]), place)).devices["cpu"]
    assert (seconds.busy, seconds.idle) == (0.0, 0.0) and seconds.qa >= 0.02


def test_what_is_made_again_to_take_approvals_over_is_told(
    environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORIGIN_DAM", f"{SHOP}=folder:{SAMPLE}/gallery")
    entries = read_approved(APPROVED)[:2]
    with open_workplace(SHOP) as place:
        assert take_over(place.database, place.site, entries, SAMPLE / "model") == {}
        now = int(time.time())
        today = Period(now - 86_400, now + 60, datetime.date.today())
        (work,) = Reader(place.database).work(("region", "family", "purpose"), today)
    assert (work.labels, work["images"]) == ((THE_ORIGIN, FAMILY, "qa"), 2)
