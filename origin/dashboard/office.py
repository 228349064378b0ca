"""What every page and call of the dashboard reads from: the ledger and the prices of one desk."""

import math
import time
from collections.abc import Callable, Hashable
from datetime import date
from typing import Annotated, Any, TypeVar, cast

from fastapi import Query

from origin.console.desk import Desk
from origin.dashboard.asked import Asked, ask
from origin.economics.chosen_books import Books, named_book, note_setting, read_books
from origin.ledger.intake import Ages
from origin.ledger.reading import Reader
from origin.sync.tokens import RegionTokens

_Made = TypeVar("_Made")
_MOST_REMEMBERED = 256

Name = Annotated[str, Query(max_length=80)]
Day = Annotated[date | None, Query()]


class Remembered:
    """What pages that ask again and again are shown, worked out once in a while for all of them."""

    def __init__(self) -> None:
        self._found: dict[Hashable, tuple[float, Any]] = {}

    def of(self, name: Hashable, age_s: float, make: Callable[[], _Made]) -> _Made:
        """What was made under this name at most ``age_s`` ago, or made now."""
        now = time.monotonic()
        made_at, found = self._found.get(name, (-math.inf, None))
        if now - made_at > age_s:
            found = make()
            if len(self._found) >= _MOST_REMEMBERED:
                self._found.clear()
            self._found[name] = now, found
        return cast(_Made, found)


class Office:
    """Prices are read anew for every request: they are changed on a page of another process."""

    def __init__(self, desk: Desk) -> None:
        self.remembered = Remembered()
        self.desk = desk
        ages = Ages.in_days(desk.origin.ledger_minutes_days, desk.origin.ledger_hours_days)
        self.reader = Reader(desk.database, ages)
        self._default = named_book(desk.origin.prices)

    def open(self) -> None:
        """Say which prices the setting names from now on: a change of it leaves the past as it was.

        :class:`kvsync.errors.InputError` for a time zone that there is not.
        """
        today = self.ask().today
        with self.desk.database.writing() as session:
            note_setting(session, self._default, today)

    def books(self) -> Books:
        with self.desk.database.reading() as session:
            return read_books(session, self._default)

    def ask(self, **given: Any) -> Asked:
        """:class:`kvsync.errors.InputError` for days or a zone that cannot be."""
        return ask(begun_at=self.reader.begun_at(), default_zone=self.desk.origin.zone, **given)

    def regions(self) -> list[str]:
        """Every region that was admitted for one of the desk's properties."""
        tokens = RegionTokens(self.desk.origin.region_tokens).regions()
        mine = set(self.desk.sites)
        return sorted(name for name, one in tokens.items() if mine & set(one.properties))


def asking(office: Office) -> Callable[..., Asked]:
    """The dependency that reads what a request is about."""

    def read(
        property: Name = "",
        region: Name = "",
        range: Name = "month",
        first: Day = None,
        last: Day = None,
        zone: Name = "",
    ) -> Asked:
        return office.ask(
            property=property, region=region, range=range, first=first, last=last, zone=zone
        )

    return read
