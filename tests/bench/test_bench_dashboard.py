"""The year that the dashboard's questions are measured at: as large as it says, and consistent."""

from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import func, select

from bench import _ledger_year as year
from bench.dashboard import Asking, measured
from origin.dashboard.asked import ask
from origin.dashboard.traffic import traffic
from origin.database import Database
from origin.economics.chosen_books import Books
from origin.economics.price_book import preset
from origin.ledger.reading import Reader
from origin.ledger.spans import day_of, read_zone
from origin.ledger.tables import ANSWERS, DAY_S, MINUTE_S, PACKED_USAGE, USAGE
from tests.origin.dashboard.ledger_world import moment

NOW = int(moment("2026-11-03 12:00"))
DAYS = 4


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Three properties in two regions."""
    monkeypatch.setattr(year, "SITES", ("property-00", "property-01", "property-02"))
    monkeypatch.setattr(year, "REGIONS", 2)
    database = Database(f"sqlite:///{tmp_path}/year.db")
    year.fill(database, NOW, days=DAYS)
    yield database
    database.close()


def test_a_day_has_rows_of_every_place_family_and_way(database: Database) -> None:
    counted = select(func.count()).where(ANSWERS.c.span_s == DAY_S)
    with database.reading() as session:
        assert session.scalar(counted) == DAYS * 3 * 2 * year.FAMILIES * 5


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/Los_Angeles"])
def test_days_and_months_say_the_same(database: Database, zone: str) -> None:
    reader, books = Reader(database), Books(preset("seed"))
    whole, *days = (
        traffic(
            reader,
            books,
            ask(begun_at=None, default_zone=zone, now=NOW, first=first, last=last),
        ).offload.answers
        for first, last in _days("2026-11-01", "2026-11-02", "2026-11-03")
    )
    assert whole == pytest.approx(sum(days)) and whole > 0


def _days(*days: str) -> list[tuple[date, date]]:
    """From the first to the last, then each that lies between."""
    named = [date.fromisoformat(day) for day in days]
    return [(named[0], named[-1]), *pairwise(named)]


def test_what_is_packed_are_the_rows(database: Database) -> None:
    reader, by = Reader(database), ("property", "region")
    days = [day_of(date(2026, 11, day), read_zone("Asia/Kolkata")) for day in (1, 2)]
    found = reader.each(PACKED_USAGE, by, ("misses", "sync_bytes"), days)
    for number, day in enumerate(days):
        rows = {row.labels: row for row in reader.read(USAGE, by, ("misses", "sync_bytes"), day)}
        packed = dict(zip(found.labels, found.sums[:, number].tolist(), strict=True))
        assert packed == {name: [*row.sums.values()] for name, row in rows.items()}


def test_minutes_are_added_to_every_table(database: Database) -> None:
    counted = select(func.count()).where(USAGE.c.span_s == MINUTE_S)
    with database.reading() as session:
        before = session.scalar(counted)
    assert year.add_minutes(database, NOW, 1, 2) > 0
    with database.reading() as session:
        assert session.scalar(counted) == 3 * (before or 0)


def test_every_question_is_asked_of_all_and_of_one(database: Database) -> None:
    asking = Asking(Reader(database), Books(preset("seed")), NOW, ("Asia/Kolkata",), 2)
    found = measured(asking)
    assert len(found) == 9
    assert {len(times) for times in found.values()} == {2 * 5}
    assert all(ms for times in found.values() for ms in times.values())
