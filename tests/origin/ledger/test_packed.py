"""What is packed says the same as the rows that it was counted with."""

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from origin.database import Database
from origin.ledger.intake import Ages, Ledger
from origin.ledger.packed import pack, unpack
from origin.ledger.reading import EVERYTHING, Reader, Scope
from origin.ledger.spans import Period, day_of, read_zone
from origin.ledger.tables import (
    DAY_S,
    HOUR_S,
    PACKED,
    PACKED_USAGE,
    QUARTER_S,
    USAGE,
)
from tests.origin.dashboard.ledger_world import (
    ASIA,
    EUROPE,
    SHOP,
    answers,
    count,
    migrated,
    moment,
    packed_sums,
    some_of_everything,
    work,
)

NOW = moment("2026-11-21 12:00")
DAY = day_of(datetime.date(2026, 11, 20), read_zone("UTC"))
FOR_EVER = Ages(minutes_s=10**10, hours_s=10**10)
BEGUN = int(moment("2026-10-28 00:00"))
QUARTERS = st.integers(0, 25 * 96).map(lambda number: BEGUN + number * QUARTER_S)
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 24 * 1_440 - 1),
        st.sampled_from((ASIA, EUROPE)),
        st.sampled_from((SHOP, "other")),
        st.integers(1, 1_000),
    ),
    max_size=12,
    unique_by=lambda event: event[:2],
)
SCOPES = st.sampled_from((EVERYTHING, Scope(SHOP), Scope(region=ASIA), Scope("other", EUROPE)))
LABELS = st.sampled_from((("property", "region"), ("region",), ("property",), ()))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    database = Database(f"sqlite:///{tmp_path}/origin.db")
    yield Ledger(database, FOR_EVER)
    database.close()


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EVENTS, st.lists(st.tuples(QUARTERS, QUARTERS), min_size=1, max_size=4), SCOPES, LABELS)
def test_packed_sums_are_those_of_the_rows(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[tuple[int, str, str, int]],
    bounds: list[tuple[int, int]],
    scope: Scope,
    labels: tuple[str, ...],
) -> None:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/origin.db")
    ledger, reader = Ledger(database, FOR_EVER), Reader(database, FOR_EVER)
    for minute, region, site, many in events:
        row = answers("rehydrated", many, property=site)
        count(ledger, BEGUN + 60 * minute, [row], region=region)
    periods = [Period(min(one), max(one), DAY.day) for one in bounds]
    found = reader.each(PACKED_USAGE, labels, ("misses", "avoidable_bytes"), periods, scope)
    for number, period in enumerate(periods):
        rows = reader.read(USAGE, labels, ("misses", "avoidable_bytes"), period, scope)
        of_rows = {row.labels: list(row.sums.values()) for row in rows}
        packed = dict(zip(found.labels, found.sums[:, number].tolist(), strict=True))
        assert nonzero(packed) == nonzero(of_rows)
    database.close()


def test_labels_that_come_later_are_added_to_those_that_are_there(ledger: Ledger) -> None:
    at = moment("2026-11-20 10:00")
    count(ledger, at, [answers("rehydrated", 5, family="b"), work(5, 2.0, family="b")])
    count(ledger, at + 60, [answers("origin", 3, reason="haul", family="a")])
    count(ledger, at + 120, [answers("origin", 2, reason="busy", family="b")], worker="other")
    reader = Reader(ledger.database, FOR_EVER)
    found = {row.labels[2]: row.sums for row in reader.families(DAY)}
    assert (found["a"]["misses"], found["a"]["free_misses"], found["a"]["lost_bytes"]) == (3, 3, 0)
    assert (found["b"]["misses"], found["b"]["free_misses"]) == (7, 5)
    assert found["b"]["lost_bytes"] == 2 * 50_000
    assert found["b"]["busy_s"] == pytest.approx(2.0)


def test_packed_quarters_and_hours_go_when_they_are_old(ledger: Ledger) -> None:
    count(ledger, NOW, some_of_everything())
    ledger.kept = Ages(minutes_s=HOUR_S, hours_s=DAY_S)
    ledger.drop_old(NOW + 2 * DAY_S)
    with ledger.database.reading() as session:
        spans = session.scalars(select(PACKED.c.span_s).distinct())
        assert sorted(spans) == [DAY_S, 31 * DAY_S]


def test_what_was_counted_in_rows_is_packed_when_the_database_is_opened(ledger: Ledger) -> None:
    for minute in range(0, 3_000, 500):
        count(ledger, NOW - 60 * minute, some_of_everything())
        count(ledger, NOW - 60 * minute, [answers("origin", 9, reason="haul")], region=EUROPE)
    before = packed_sums(ledger)
    migrated(ledger.database, "0014")
    migrated(ledger.database, "head")
    assert packed_sums(ledger) == before
    with ledger.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(PACKED)) == len(before)


def test_equal_labels_have_equal_text() -> None:
    one = pack({("b", "x"): [1.0, 2.0], ("a", "ü"): [3.0, 4.0]})
    other = pack({("a", "ü"): [5.0, 6.0], ("b", "x"): [7.0, 8.0]})
    assert one["labels"] == other["labels"]
    assert {name: list(row) for name, row in unpack(**one).items()} == {
        ("a", "ü"): [3.0, 4.0],
        ("b", "x"): [1.0, 2.0],
    }


def nonzero(
    of: dict[tuple[str, ...], list[float]],
) -> dict[tuple[str, ...], list[float]]:
    return {name: sums for name, sums in of.items() if any(sums)}
