"""What a page or a call of the API is about: which property and region, which days, whose clock."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal, get_args
from zoneinfo import ZoneInfo

from kvsync.errors import InputError
from origin.ledger.reading import Scope
from origin.ledger.spans import (
    Period,
    days_between,
    midnight,
    month_of,
    months_between,
    next_month,
    read_zone,
    today,
)

Range = Literal["today", "week", "month", "last-month", "year", "all"]
RANGES: Final[dict[Range, str]] = {
    "today": "Today",
    "week": "7 days",
    "month": "This month",
    "last-month": "Last month",
    "year": "12 months",
    "all": "Since start",
}
# Longer is told by the month.
MOST_DAYS: Final = 62
_EARLIEST: Final = date(2000, 1, 1)


@dataclass(frozen=True, slots=True)
class Asked:
    """Days from ``first`` to before ``last`` of ``zone``; ``range`` is empty where they were named
    one by one."""

    scope: Scope
    zone: ZoneInfo
    range: str
    first: date
    last: date
    now: float

    @property
    def today(self) -> date:
        return today(self.now, self.zone)

    @property
    def last_day(self) -> date:
        return self.last - timedelta(days=1)

    @property
    def period(self) -> Period:
        return Period(midnight(self.first, self.zone), midnight(self.last, self.zone), self.first)

    @property
    def by_month(self) -> bool:
        return (self.last - self.first).days > MOST_DAYS

    def periods(self, cuts: Collection[date]) -> list[Period]:
        """The days or months, after what of their first month came before them."""
        begun = month_of(self.first)
        before = list(months_between(begun, self.first, self.zone, cuts))
        if self.by_month:
            return before + list(months_between(self.first, self.last, self.zone, cuts))
        return before + list(days_between(self.first, self.last, self.zone))

    @property
    def query(self) -> dict[str, str]:
        """What asks for the same again."""
        named = {"property": self.scope.property, "region": self.scope.region}
        days = {"range": self.range}
        if not self.range:
            days = {"first": self.first.isoformat(), "last": self.last.isoformat()}
        return {**named, **days, "zone": self.zone.key}


def ask(
    *,
    begun_at: int | None,
    default_zone: str,
    property: str = "",
    region: str = "",
    range: str = "month",
    first: date | None = None,
    last: date | None = None,
    zone: str = "",
    now: float | None = None,
) -> Asked:
    """``first`` and ``last`` (not counted in) go before ``range``; :class:`InputError` for what
    cannot be."""
    at = time.time() if now is None else now
    where = read_zone(zone or default_zone)
    here = today(at, where)
    if first is None and last is None:
        if range not in get_args(Range):
            raise InputError(f"no range {range[:40]!r}; there is {', '.join(RANGES)}")
        first, last = _days(range, here, _begun(begun_at, where, here))
    else:
        range = ""
        first, last = first or month_of(here), last or here + timedelta(days=1)
    if not _EARLIEST <= first < last <= here + timedelta(days=400):
        raise InputError(f"no days from {first} to before {last}")
    return Asked(Scope(property, region), where, range, first, last, at)


def _days(range: str, here: date, begun: date) -> tuple[date, date]:
    tomorrow = here + timedelta(days=1)
    month = month_of(here)
    match range:
        case "today":
            return here, tomorrow
        case "week":
            return here - timedelta(days=6), tomorrow
        case "month":
            return month, tomorrow
        case "last-month":
            return month_of(month - timedelta(days=1)), month
        case "year":
            return month.replace(year=month.year - 1), tomorrow
        case _:
            return begun, tomorrow


def _begun(begun_at: int | None, zone: ZoneInfo, here: date) -> date:
    """The first day of the month in which the ledger began."""
    return month_of(here if begun_at is None else min(here, today(begun_at, zone)))


def month_named(text: str) -> tuple[date, date]:
    """A month like ``2026-11``: its first day, and the next one's."""
    try:
        first = datetime.strptime(text, "%Y-%m").date()
    except ValueError as error:
        raise InputError(f"no month {text[:40]!r}; write one like 2026-11") from error
    return first, next_month(first)


def plain(asked: Asked) -> dict[str, Any]:
    """What was asked, for answers of the API."""
    return {
        "property": asked.scope.property,
        "region": asked.scope.region,
        "first": asked.first.isoformat(),
        "before": asked.last.isoformat(),
        "zone": asked.zone.key,
    }
