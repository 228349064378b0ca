"""Any span of time is read exactly, whoever's midnight it begins at, and priced so that days add
up to months."""

import datetime
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvsync.errors import InputError
from kvsync.ledger import Row
from origin.dashboard.asked import ask
from origin.dashboard.savings import earned, headline
from origin.database import Database
from origin.economics.chosen_books import Books, Chosen, choose_book, read_books
from origin.economics.price_book import PriceBook, Prices, Tier, preset
from origin.ledger.intake import Ages, Ledger
from origin.ledger.reading import Reader
from origin.ledger.running import Counted, Place, running
from origin.ledger.spans import Period, cover, day_of, midnight, months_between, read_zone
from origin.ledger.tables import DAY_S, HOUR_S, MINUTE_S, QUARTER_S, SIX_HOURS_S, begin_of
from tests.origin.dashboard.ledger_world import (
    ASIA,
    EUROPE,
    SHOP,
    answers,
    count,
    held,
    moment,
    work,
)

NOW = moment("2026-11-21 12:00")
FOR_EVER = Ages(minutes_s=10**10, hours_s=10**10)
SEED = Books(preset("seed"))
TIERED = Books(preset("s3-internet"))
_MOST = {MINUTE_S: 15, QUARTER_S: 4, HOUR_S: 6, SIX_HOURS_S: 4, DAY_S: 31}
MINUTES = st.integers(int(moment("2026-01-01 00:00")) // 60, int(NOW) // 60).map(lambda at: 60 * at)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    database = Database(f"sqlite:///{tmp_path}/origin.db")
    yield Ledger(database, FOR_EVER)
    database.close()


@pytest.fixture
def reader(ledger: Ledger) -> Reader:
    return Reader(ledger.database, FOR_EVER)


@given(MINUTES, MINUTES, st.lists(MINUTES, max_size=40))
def test_pieces_sum_to_what_was_between_two_moments(
    begin: int, end: int, events: list[int]
) -> None:
    begin, end = min(begin, end), max(begin, end)
    covered = sum(
        piece.sign
        for piece in cover(begin, end, NOW, FOR_EVER)
        for event in events
        if piece.begin <= begin_of(piece.span_s, event) < piece.end
    )
    assert covered == sum(begin <= event < end for event in events)


@given(MINUTES, MINUTES)
def test_a_year_is_read_from_few_pieces(begin: int, end: int) -> None:
    pieces = cover(min(begin, end), max(begin, end), NOW, FOR_EVER)
    assert len(pieces) <= 11
    for piece in pieces:
        most = _MOST.get(piece.span_s, 12)
        assert piece.end - piece.begin <= most * piece.span_s


def test_a_moment_that_minutes_are_gone_of_is_the_nearest_hour() -> None:
    begin, end = int(moment("2026-03-03 18:20")), int(moment("2026-03-04 18:40"))
    pieces = cover(begin, end, NOW, Ages())
    assert {piece.span_s for piece in pieces} <= {HOUR_S, SIX_HOURS_S, DAY_S}


def _saved(reader: Reader, day: str, zone: str, books: Books = SEED) -> float:
    first = datetime.date.fromisoformat(day)
    asked = ask(
        begun_at=None,
        default_zone=zone,
        first=first,
        last=first + datetime.timedelta(days=1),
        now=NOW,
    )
    return sum(one.haul_avoided for one in earned(reader, books, asked).all)


def test_a_day_begins_at_the_midnight_of_who_asks(ledger: Ledger, reader: Reader) -> None:
    count(ledger, moment("2026-10-31 23:30"), [answers("rehydrated", 1_000)])
    worth = 1_000 * 50_000 / 1e9 * 0.05
    for zone, day in (
        ("UTC", "2026-10-31"),
        ("Europe/Berlin", "2026-11-01"),
        ("Asia/Kolkata", "2026-11-01"),
        ("America/New_York", "2026-10-31"),
    ):
        assert _saved(reader, day, zone) == pytest.approx(worth), zone
        other = "2026-11-01" if day == "2026-10-31" else "2026-10-31"
        assert _saved(reader, other, zone) == pytest.approx(0), zone


def test_half_an_hour_is_told_apart_in_zones_that_have_one(ledger: Ledger, reader: Reader) -> None:
    # Midnight in Kolkata is 18:30 in UTC.
    count(ledger, moment("2026-11-10 18:29"), [answers("rehydrated", 100)])
    count(ledger, moment("2026-11-10 18:30"), [answers("rehydrated", 200)], worker="other")
    assert _saved(reader, "2026-11-10", "Asia/Kolkata") == pytest.approx(100 * 5e4 / 1e9 * 0.05)
    assert _saved(reader, "2026-11-11", "Asia/Kolkata") == pytest.approx(200 * 5e4 / 1e9 * 0.05)


def test_days_of_a_change_of_clocks_have_23_and_25_hours() -> None:
    berlin = read_zone("Europe/Berlin")
    short, long = (day_of(datetime.date(2026, *day), berlin) for day in ((3, 29), (10, 25)))
    assert [(one.end - one.begin) // HOUR_S for one in (short, long)] == [23, 25]


def test_days_add_up_to_the_month_whatever_its_tiers(ledger: Ledger, reader: Reader) -> None:
    tier = 10_000_000_000_000 // 50_000
    for day in range(1, 21):
        rows: list[Row] = [answers("rehydrated", tier // 5), work(tier // 5, 900.0), held(3_600.0)]
        count(ledger, moment(f"2026-11-{day:02} 10:00"), rows)
    days = ask(begun_at=None, default_zone="Europe/Berlin", range="month", now=NOW)
    found = earned(reader, TIERED, days)
    (all_,) = found.all
    assert len(found.by_span()) == 21
    assert sum(one.money.saved for one in found.by_span()) == pytest.approx(all_.saved)
    assert all_.haul_avoided == pytest.approx(
        TIERED.default.prices[0].hauling(20 * (tier // 5) * 50_000) + 20 * (tier // 5) / 1e6 * 0.4
    )
    first, last = found.by_span()[0].money, found.by_span()[19].money
    assert last.haul_avoided < first.haul_avoided


def test_the_headlines_are_the_same_sums(ledger: Ledger, reader: Reader) -> None:
    for at in ("2026-09-30 23:59", "2026-10-01 00:00", "2026-11-21 11:00", "2026-11-20 11:00"):
        count(ledger, moment(at), [answers("rehydrated", 1_000)])
    asked = ask(begun_at=reader.begun_at(), default_zone="UTC", now=NOW)
    found = headline(reader, SEED, asked)
    one = 1_000 * 50_000 / 1e9 * 0.05
    assert found.since == "2026-09-30"
    assert [many[0].saved for many in (found.today, found.month, found.since_start)] == [
        pytest.approx(one),
        pytest.approx(2 * one),
        pytest.approx(4 * one),
    ]


def test_idle_machines_are_shared_by_who_used_them(ledger: Ledger, reader: Reader) -> None:
    other = msgspec.structs.replace(work(100, 10.0), property="other")
    count(
        ledger,
        NOW,
        [answers("hit", 1), answers("hit", 1, property="other"), work(300, 30.0), other, held(60)],
    )
    shared = _shared(reader)
    assert shared[SHOP, ASIA].devices["cpu"].idle == pytest.approx(20 * 3 / 4)
    assert shared["other", ASIA].devices["cpu"].idle == pytest.approx(20 * 1 / 4)


def test_a_machine_that_nobody_used_is_paid_by_whom_it_was_held_for(
    ledger: Ledger, reader: Reader
) -> None:
    count(ledger, NOW, [answers("hit", 1), held(60.0)])
    count(ledger, NOW, [held(60.0)], region=EUROPE)
    shared = _shared(reader)
    assert shared[SHOP, ASIA].devices["cpu"].idle == pytest.approx(60)
    assert shared["", EUROPE].devices["cpu"].idle == pytest.approx(60)


def test_two_ways_at_once_may_cost_more_than_they_spare(ledger: Ledger, reader: Reader) -> None:
    hedged = msgspec.structs.replace(answers("rehydrated", 10), middle_mile_bytes=600_000)
    count(ledger, NOW, [hedged])
    usage = _shared(reader)[SHOP, ASIA].usage("")
    assert (usage.hauled_bytes, usage.avoided_bytes) == (600_000, -100_000)


def test_a_device_without_a_price_is_taken_for_the_dearest(ledger: Ledger, reader: Reader) -> None:
    count(ledger, NOW, [answers("hit", 1), held(3_600.0, device="abacus")])
    asked = ask(begun_at=None, default_zone="UTC", range="month", now=NOW)
    (money,) = earned(reader, SEED, asked).all
    assert money.idle == pytest.approx(3.0)


def test_a_change_of_price_leaves_the_past_as_it_was(ledger: Ledger, reader: Reader) -> None:
    for day in ("05", "15"):
        count(ledger, moment(f"2026-11-{day} 10:00"), [answers("rehydrated", 1_000_000)])
    asked = ask(begun_at=None, default_zone="UTC", range="month", now=NOW)
    before = earned(reader, SEED, asked)
    doubled = replace(
        SEED, chosen={("", ""): (Chosen(_book("USD", 0.10), datetime.date(2026, 11, 10), "test"),)}
    )
    after = {one.name: one.money.haul_avoided for one in earned(reader, doubled, asked).by_span()}
    then = {one.name: one.money.haul_avoided for one in before.by_span()}
    assert after["2026-11-05"] == pytest.approx(then["2026-11-05"])
    assert after["2026-11-15"] == pytest.approx(2 * then["2026-11-15"])


def test_two_currencies_are_two_sums(ledger: Ledger, reader: Reader) -> None:
    count(ledger, NOW, [answers("rehydrated", 1_000_000)])
    count(ledger, NOW, [answers("rehydrated", 1_000_000)], region=EUROPE)
    since = datetime.date(2026, 1, 1)
    books = replace(SEED, chosen={("", EUROPE): (Chosen(_book("EUR", 0.04), since, "test"),)})
    asked = ask(begun_at=None, default_zone="UTC", range="month", now=NOW)
    found = {one.currency: one.saved for one in earned(reader, books, asked).all}
    assert found == {"USD": pytest.approx(2.5), "EUR": pytest.approx(2.0)}


def test_books_are_chosen_by_the_nearest_name(ledger: Ledger) -> None:
    today = datetime.date(2026, 11, 21)
    with ledger.database.writing() as session:
        for number, (property, region) in enumerate(
            [("", ""), ("", EUROPE), (SHOP, ""), (SHOP, EUROPE)]
        ):
            choose_book(session, property, region, _book("USD", number), today, "admin", today)
        with pytest.raises(InputError, match="would change what is past"):
            yesterday = today - datetime.timedelta(days=1)
            choose_book(session, SHOP, "", _book("USD", 9.0), yesterday, "admin", today)
    with ledger.database.reading() as session:
        books = read_books(session, SEED.default)
    places = [("other", ASIA), ("other", EUROPE), (SHOP, ASIA), (SHOP, EUROPE)]
    found = [books.prices(*place, today)[0].middle_mile[0].per_gb for place in places]
    assert found == [0, 1, 2, 3]
    before = books.prices(SHOP, EUROPE, today - datetime.timedelta(days=1))[0]
    assert before.middle_mile[0].per_gb == 0.05


def test_months_are_cut_where_a_price_changes() -> None:
    utc = read_zone("UTC")
    first, last = datetime.date(2026, 9, 1), datetime.date(2026, 11, 5)
    found = list(months_between(first, last, utc, {datetime.date(2026, 10, 10)}))
    assert [str(one.day) for one in found] == [
        "2026-09-01",
        "2026-10-01",
        "2026-10-10",
        "2026-11-01",
    ]
    assert found[-1].end == midnight(last, utc)


def _shared(reader: Reader) -> dict[Place, Counted]:
    day = datetime.date(2026, 11, 21)
    period = Period(midnight(day, read_zone("UTC")), int(NOW) + QUARTER_S, day)
    found = running(reader, [period])
    return {
        place: found.counted((np.array([0]), np.array([number])))
        for number, place in enumerate(found.places)
    }


def _book(currency: str, per_gb: float) -> PriceBook:
    since = datetime.date(2026, 1, 1)
    prices = Prices(since, (Tier(per_gb),), {"cpu": 0.04, "h200": 3.0})
    return PriceBook("own", currency, "a test's own", since, (prices,))
