"""Which price book a property pays by in a region, from which day on; kept in the database.

A choice holds from its day until the next one for the same property and region. It is never
changed: what was paid stays as it was.
"""

import datetime
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from sqlalchemy import String, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from kvsync.errors import InputError
from origin.economics.price_book import PriceBook, Prices, parse_price_book, preset
from origin.qa import audit
from origin.tables import Base, Big

_Place = tuple[str, str]


class PriceChoiceRow(Base):
    """A book for a property, a region, one of the two (the other is empty) or all (both are).
    ``book`` is the whole book in JSON as it was then."""

    __tablename__ = "price_choices"
    id: Mapped[int] = mapped_column(primary_key=True)
    property: Mapped[str] = mapped_column(String(80))
    region: Mapped[str] = mapped_column(String(80))
    since: Mapped[datetime.date]
    book: Mapped[str] = mapped_column(Text)
    made_by: Mapped[str]
    made_at: Mapped[Big]


@dataclass(frozen=True)
class Chosen:
    """A book, the day it was chosen for, and by whom; ``since`` None is a setting's."""

    book: PriceBook
    since: datetime.date | None
    by: str


@dataclass(frozen=True)
class Books:
    """Every choice: by property and region, the latest last; ``default`` is where there is none."""

    default: PriceBook
    chosen: Mapping[_Place, tuple[Chosen, ...]] = field(default_factory=dict)

    def of(self, property: str, region: str, day: datetime.date) -> Chosen:
        """What holds there on that day: the choice for both, else the property's, the region's,
        everybody's, else the setting."""
        places = ((property, region), (property, ""), ("", region), ("", ""))
        for place in places if self.chosen else ():
            past = [
                one for one in self.chosen.get(place, ()) if one.since is None or one.since <= day
            ]
            if past:
                return past[-1]
        return Chosen(self.default, None, "setting")

    def prices(self, property: str, region: str, day: datetime.date) -> tuple[Prices, str]:
        """The day's prices and their currency; those that a book begins with count for the time
        before it too."""
        book = self.of(property, region, day).book
        return book.on(max(day, book.prices[0].since)), book.currency

    def changes(self) -> set[datetime.date]:
        """Days on which some price changes."""
        books = [self.default, *(one.book for many in self.chosen.values() for one in many)]
        days = {prices.since for book in books for prices in book.prices[1:]}
        return days | {one.since for many in self.chosen.values() for one in many if one.since}


def read_books(session: Session, default: PriceBook) -> Books:
    """All choices that were made."""
    found: defaultdict[_Place, list[Chosen]] = defaultdict(list)
    rows = select(PriceChoiceRow).order_by(PriceChoiceRow.since, PriceChoiceRow.id)
    for row in session.scalars(rows):
        book = msgspec.json.decode(row.book, type=PriceBook)
        found[row.property, row.region].append(Chosen(book, row.since, row.made_by))
    return Books(default, {place: tuple(many) for place, many in found.items()})


def choose_book(
    session: Session,
    property: str,
    region: str,
    book: PriceBook,
    since: datetime.date,
    by: str,
    today: datetime.date,
) -> None:
    """Have a book hold from a day on, and write that down in the audit.

    :class:`InputError` for a day that is past, unless nothing was chosen there before: what was
    paid is not changed, only said for the first time.
    """
    before = select(PriceChoiceRow.id).where(
        PriceChoiceRow.property == property, PriceChoiceRow.region == region
    )
    if since < today and session.scalars(before.limit(1)).one_or_none() is not None:
        raise InputError(f"prices since {since} would change what is past; begin today or later")
    session.add(
        PriceChoiceRow(
            property=property,
            region=region,
            since=since,
            book=msgspec.json.encode(book).decode(),
            made_by=by,
            made_at=int(time.time()),
        )
    )
    place = f"{property or 'every property'} in {region or 'every region'}"
    audit(session, by, "prices", place, book=book.name, since=since.isoformat())


def named_book(name: str) -> PriceBook:
    """A shipped book by its name, or a file's by its path; :class:`InputError` for neither."""
    if name.endswith(".toml"):
        path = Path(name)
        try:
            return parse_price_book(path.read_bytes(), name)
        except OSError as error:
            raise InputError(f"{name}: cannot read the price book: {error.strerror}") from error
    return preset(name)
