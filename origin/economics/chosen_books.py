"""Which price book a property pays by in a region, from which day on; kept in the database.

A choice holds from its day until the next one for the same property and region. It is never
changed: what was paid stays as it was. So does what the setting named before it was changed.
"""

import datetime
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
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
# Nobody has this name: a book that the setting names, from the day that it was first seen.
_SETTING = ""
_FROM_THE_START = datetime.date.min


class PriceChoiceRow(Base):
    """A book for a property, a region, one of the two (the other is empty) or all (both are).
    ``book`` is the whole book in JSON as it was then; ``made_by`` is empty for a setting's."""

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
    """Every choice: by property and region, the latest last. Where there is none, what the setting
    named then: ``settings``, the latest last, or ``default`` where nothing else was ever seen."""

    default: PriceBook
    chosen: Mapping[_Place, tuple[Chosen, ...]] = field(default_factory=dict)
    settings: tuple[Chosen, ...] = ()

    def of(self, property: str, region: str, day: datetime.date) -> Chosen:
        """What holds there on that day: the choice for both, else the property's, the region's,
        everybody's, else the setting."""
        places = ((property, region), (property, ""), ("", region), ("", ""))
        for place in places if self.chosen else ():
            if past := _begun(self.chosen.get(place, ()), day):
                return past[-1]
        return (_begun(self.settings, day) or [Chosen(self.default, None, "setting")])[-1]

    def prices(self, property: str, region: str, day: datetime.date) -> tuple[Prices, str]:
        """The day's prices and their currency; those that a book begins with count for the time
        before it too."""
        book = self.of(property, region, day).book
        return book.on(max(day, book.prices[0].since)), book.currency

    def changes(self) -> set[datetime.date]:
        """Days on which some price changes."""
        every = [*self.settings, *(one for many in self.chosen.values() for one in many)]
        books = [self.default, *(one.book for one in every)]
        days = {prices.since for book in books for prices in book.prices[1:]}
        return days | {one.since for one in every if one.since}


def _begun(choices: Sequence[Chosen], day: datetime.date) -> list[Chosen]:
    return [one for one in choices if one.since is None or one.since <= day]


def read_books(session: Session, default: PriceBook) -> Books:
    """All choices that were made, and what the setting named."""
    found: defaultdict[_Place, list[Chosen]] = defaultdict(list)
    settings: list[Chosen] = []
    rows = select(PriceChoiceRow).order_by(PriceChoiceRow.since, PriceChoiceRow.id)
    for row in session.scalars(rows):
        if row.made_by == _SETTING:
            since = None if row.since == _FROM_THE_START else row.since
            settings.append(Chosen(_book_of(row), since, "setting"))
        else:
            chosen = Chosen(_book_of(row), row.since, row.made_by)
            found[row.property, row.region].append(chosen)
    return Books(default, {place: tuple(many) for place, many in found.items()}, tuple(settings))


def note_setting(session: Session, book: PriceBook, today: datetime.date) -> None:
    """Write down which book the setting names: the first one holds from the start, another one, or
    the same with other prices, from the day on that it is first seen."""
    before = select(PriceChoiceRow).where(PriceChoiceRow.made_by == _SETTING)
    last = session.scalars(before.order_by(PriceChoiceRow.id.desc()).limit(1)).one_or_none()
    if last is None:
        session.add(_row("", "", book, _FROM_THE_START, _SETTING))
    elif _book_of(last) != book:
        session.add(_row("", "", book, today, _SETTING))


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

    :class:`InputError` for a day that is past, unless nothing was chosen before that it would take
    the place of: what was paid is not changed, only said for the first time.
    """
    if since < today:
        before = select(PriceChoiceRow).where(PriceChoiceRow.made_by != _SETTING)
        if any(_replaces(property, region, one) for one in session.scalars(before)):
            raise InputError(
                f"prices since {since} would change what is past; begin today or later"
            )
    session.add(_row(property, region, book, since, by))
    place = f"{property or 'every property'} in {region or 'every region'}"
    audit(session, by, "prices", place, book=book.name, since=since.isoformat())


def _replaces(property: str, region: str, other: PriceChoiceRow) -> bool:
    """Whether a choice for these goes before another one somewhere."""
    same = other.property in ("", property) or not property
    there = other.region in ("", region) or not region
    return (
        same
        and there
        and (bool(other.property), bool(other.region))
        <= (
            bool(property),
            bool(region),
        )
    )


def _row(
    property: str, region: str, book: PriceBook, since: datetime.date, by: str
) -> PriceChoiceRow:
    return PriceChoiceRow(
        property=property,
        region=region,
        since=since,
        book=msgspec.json.encode(book).decode(),
        made_by=by,
        made_at=int(time.time()),
    )


def _book_of(row: PriceChoiceRow) -> PriceBook:
    return msgspec.json.decode(row.book, type=PriceBook)


def named_book(name: str) -> PriceBook:
    """A shipped book by its name, or a file's by its path; :class:`InputError` for neither."""
    if name.endswith(".toml"):
        path = Path(name)
        try:
            return parse_price_book(path.read_bytes(), name)
        except OSError as error:
            raise InputError(f"{name}: cannot read the price book: {error.strerror}") from error
    return preset(name)
