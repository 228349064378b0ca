"""Whichever price book is chosen, and wherever: what was paid stays what was paid."""

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvsync.errors import InputError
from origin.database import Database
from origin.economics.chosen_books import Books, choose_book, note_setting, read_books
from origin.economics.price_book import PriceBook, Prices, Tier, parse_price_book, preset

TODAY = datetime.date(2026, 11, 21)
YESTERDAY = TODAY - datetime.timedelta(days=1)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path}/origin.db")
    yield opened
    opened.close()


def book(per_gb: float) -> PriceBook:
    since = datetime.date(2026, 1, 1)
    prices = Prices(since, (Tier(per_gb),), {"cpu": 0.04, "h200": 3.0})
    return PriceBook("own", "USD", "a test's own", since, (prices,))


def books_in(database: Database, default: PriceBook) -> Books:
    with database.reading() as session:
        return read_books(session, default)


def per_gb(books: Books, day: datetime.date) -> float:
    return books.prices("shop", "asia-east", day)[0].middle_mile[0].per_gb


def test_another_setting_holds_from_the_day_that_it_is_seen(database: Database) -> None:
    for day, price in ((YESTERDAY, 0.05), (YESTERDAY, 0.05), (TODAY, 0.09)):
        with database.writing() as session:
            note_setting(session, book(price), day)
    books = books_in(database, book(0.09))
    assert [one.since for one in books.settings] == [None, TODAY]
    assert (per_gb(books, YESTERDAY), per_gb(books, TODAY)) == (0.05, 0.09)
    assert TODAY in books.changes()


def test_a_choice_goes_before_any_setting(database: Database) -> None:
    with database.writing() as session:
        note_setting(session, book(0.05), YESTERDAY)
        choose_book(session, "", "", book(0.01), YESTERDAY, "admin", TODAY)
        note_setting(session, book(0.09), TODAY)
    assert per_gb(books_in(database, book(0.09)), TODAY) == 0.01


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        (("", ""), ("shop", "asia-east"), True),
        (("shop", ""), ("shop", "asia-east"), True),
        (("", "asia-east"), ("shop", ""), True),
        (("", ""), ("", "asia-east"), True),
        (("shop", "asia-east"), ("shop", ""), False),
        (("shop", ""), ("", ""), False),
        (("shop", ""), ("", "asia-east"), False),
        (("shop", ""), ("boots", ""), False),
    ],
)
def test_what_another_choice_said_of_the_past_stays(
    database: Database, before: tuple[str, str], after: tuple[str, str], refused: bool
) -> None:
    with database.writing() as session:
        choose_book(session, *before, book(1.0), YESTERDAY, "admin", TODAY)
        if not refused:
            choose_book(session, *after, book(2.0), YESTERDAY, "admin", TODAY)
            return
        with pytest.raises(InputError, match="would change what is past"):
            choose_book(session, *after, book(2.0), YESTERDAY, "admin", TODAY)
        choose_book(session, *after, book(2.0), TODAY, "admin", TODAY)


def test_an_h200_costs_the_same_unless_the_book_says_otherwise() -> None:
    toml = """
name = "own"
currency = "USD"
source = "a contract"
checked = 2026-11-21

[[prices]]
since = 2026-01-01
middle_mile = [{ per_gb = 0.03 }]
device_per_hour = { cpu = 0.05 }
"""
    own = parse_price_book(toml.encode(), "own").on(TODAY)
    assert own.device(own.priced_as("h200")) == 3.0 and own.device("cpu") == 0.05
    said = parse_price_book(toml.replace("0.05 }", "0.05, h200 = 2.2 }").encode(), "own")
    assert said.on(TODAY).device("h200") == 2.2
    euros = parse_price_book(toml.replace("USD", "EUR").encode(), "own")
    assert "h200" not in euros.on(TODAY).device_per_hour
    assert all("h200" in one.device_per_hour for one in preset("seed").prices)
