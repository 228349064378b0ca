"""Cover any span of time with the ledger's minutes, hours, days and months: as few rows as can be.

Days and months of people's calendars begin when it is midnight where they are, the ledger's at
midnight UTC. What is between the two is added or taken off in hours, or minutes where a zone is
not whole hours away.
"""

import datetime
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kvsync.errors import InputError
from origin.ledger.intake import Ages
from origin.ledger.tables import DAY_S, HOUR_S, MINUTE_S, MONTH_S, SPANS_S, begin_of

_LEVELS = (MONTH_S, *reversed(SPANS_S))
# Correcting a day takes hours of the day before.
_SLACK_S = DAY_S


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of one span from ``begin`` to before ``end``, added or, with ``sign`` -1, taken off."""

    span_s: int
    begin: int
    end: int
    sign: int

    def starts(self) -> Iterator[int]:
        """When each of its spans begins."""
        at = self.begin
        while at < self.end:
            yield at
            at = begin_of(self.span_s, at + self.span_s)


@dataclass(frozen=True, slots=True)
class Period:
    """From ``begin`` to before ``end``, in Unix seconds; ``day`` is the date it begins on."""

    begin: int
    end: int
    day: date


def cover(begin: int, end: int, now: float, ages: Ages, finest: int = MINUTE_S) -> list[Piece]:
    """Pieces that sum to what was between two moments, as exactly as what is kept can tell, in
    spans of ``finest`` seconds and longer.

    A moment older than minutes are kept is taken as the nearest whole hour, one older than hours
    are as the nearest day (UTC).
    """
    if end - begin == DAY_S and begin % DAY_S == 0:
        return [Piece(DAY_S, begin, end, 1)]
    first, last = (_settled(at, now, ages, finest) for at in (begin, end))
    return _pieces(first, last, _LEVELS)


def _pieces(begin: int, end: int, levels: Sequence[int]) -> list[Piece]:
    if begin == end:
        return []
    if begin > end:
        return [
            Piece(one.span_s, one.begin, one.end, -one.sign) for one in _pieces(end, begin, levels)
        ]
    first, last = _nearest(begin, levels[0]), _nearest(end, levels[0])
    # Half of a span is told sooner than what is left of it.
    if first >= last or end - begin <= levels[0] // 2:
        return _pieces(begin, end, levels[1:])
    return [
        Piece(levels[0], first, last, 1),
        *_pieces(begin, first, levels[1:]),
        *_pieces(last, end, levels[1:]),
    ]


def _settled(at: int, now: float, ages: Ages, finest: int) -> int:
    if at < now - ages.hours_s + _SLACK_S:
        return _nearest(at, DAY_S)
    if at < now - ages.minutes_s + _SLACK_S:
        return _nearest(at, HOUR_S)
    return _nearest(at, finest)


def _nearest(at: int, span_s: int) -> int:
    before = begin_of(span_s, at)
    after = begin_of(span_s, before + span_s) if before < at else before
    return before if at - before < after - at else after


def read_zone(name: str) -> ZoneInfo:
    """A time zone by its name like ``Europe/Berlin``; :class:`InputError` where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputError(
            f"there is no time zone {name[:40]!r}; write one like Europe/Berlin"
        ) from error


def today(now: float, zone: ZoneInfo) -> date:
    return datetime.datetime.fromtimestamp(now, zone).date()


def midnight(day: date, zone: ZoneInfo) -> int:
    """When a day begins there."""
    return int(datetime.datetime.combine(day, datetime.time(), zone).timestamp())


def month_of(day: date) -> date:
    return day.replace(day=1)


def next_month(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


def day_of(day: date, zone: ZoneInfo) -> Period:
    return Period(midnight(day, zone), midnight(day + timedelta(days=1), zone), day)


def days_between(first: date, last: date, zone: ZoneInfo) -> Iterator[Period]:
    """Each day from ``first`` to before ``last``."""
    while first < last:
        yield day_of(first, zone)
        first += timedelta(days=1)


def months_between(
    first: date, last: date, zone: ZoneInfo, cuts: Collection[date] = ()
) -> Iterator[Period]:
    """Calendar months from ``first`` to before ``last``, cut at these days as well."""
    while first < last:
        ends = [next_month(first), last, *(day for day in cuts if day > first)]
        end = min(ends)
        yield Period(midnight(first, zone), midnight(end, zone), first)
        first = end
