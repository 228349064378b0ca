"""What the ledger says of a span of time: sums by whichever labels are asked for."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Double, Select, Table, cast, func, select

from origin.database import Database
from origin.ledger.intake import Ages
from origin.ledger.listed import ONCE, Span, listed
from origin.ledger.packed import Each, read_packed
from origin.ledger.spans import Period, Piece, cover
from origin.ledger.tables import (
    ANSWERS,
    BUCKETS,
    COUNTS,
    CROSSED,
    DAY_S,
    DEVICE_PARTS,
    FAMILIES,
    HELD,
    HOUR_S,
    MINUTE_S,
    MONTH_S,
    OPEN,
    OUTCOMES,
    QUARTER_S,
    USAGE,
    WORK,
    Packing,
    begin_of,
)

Sums = dict[str, float]
Only = Mapping[str, Sequence[str]]
"""Labels, and the values of each that rows may have, or with ``not_`` before it may not."""

_LARGEST = 500


@dataclass(frozen=True, slots=True)
class Scope:
    """Of which property and region; empty is all of them."""

    property: str = ""
    region: str = ""

    def has(self, property: str, region: str) -> bool:
        return self.property in ("", property) and self.region in ("", region)


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class Row:
    """Sums of rows that have these labels in common."""

    labels: tuple[str, ...]
    sums: Sums

    def __getitem__(self, name: str) -> float:
        return self.sums[name]


@dataclass(frozen=True)
class Reader:
    """Reads a database's ledger, from which minutes and hours past their ``ages`` are gone."""

    database: Database
    ages: Ages = field(default_factory=Ages)

    def begun_at(self) -> int | None:
        """When the first day began (UTC, Unix seconds) of which anything is known; None before."""
        return self._first(DAY_S)

    def counted_since(self) -> int | None:
        """When the first minute began of which anything is known, or the first day, where its
        minutes are gone; None before."""
        first_day, first_minute = self.begun_at(), self._first(MINUTE_S)
        if first_day is None or first_minute is None or first_minute >= first_day + DAY_S:
            return first_day
        return first_minute

    def _first(self, span_s: int) -> int | None:
        """When the first span of this length began."""
        with self.database.reading() as session:
            firsts = [
                session.scalar(
                    select(table.c.start)
                    .where(table.c.span_s == span_s)
                    .order_by(table.c.start)
                    .limit(1)
                )
                for table in (USAGE, HELD)
            ]
        known = [one for one in firsts if one is not None]
        return int(min(known)) if known else None

    def read(
        self,
        table: Table,
        by: Sequence[str],
        sums: Sequence[str],
        period: Period,
        scope: Scope = EVERYTHING,
    ) -> list[Row]:
        """Rows of a table in a period, summed over every label but those in ``by``."""
        return self._rows(
            table, by, sums, cover(period.begin, period.end, time.time(), self.ages), scope
        )

    def each(
        self,
        table: Table | Packing,
        by: Sequence[str],
        sums: Sequence[str],
        periods: Sequence[Period],
        scope: Scope = EVERYTHING,
        only: Only = MappingProxyType({}),
    ) -> Each:
        """What :meth:`read` gives of each of many periods: asked once, as asking is most of what
        each of them takes. What is packed is told to the nearest quarter of an hour, and whole:
        ``only`` is of rows. A property's are found soonest where ``only`` names the regions."""
        now = time.time()
        finest = QUARTER_S if isinstance(table, Packing) else MINUTE_S
        pieces = [
            (number, one)
            for number, period in enumerate(periods)
            for one in cover(period.begin, period.end, now, self.ages, finest)
        ]
        if isinstance(table, Packing):
            labels = {"property": scope.property, "region": scope.region}
            named = {name: value for name, value in labels.items() if value}
            with self.database.reading() as session:
                return read_packed(session, table, by, sums, _spans(pieces), len(periods), named)
        rows = self._found(table, by, sums, pieces, scope, only)
        keys: dict[tuple[str, ...], int] = {}
        width = 1 + len(by)
        at = [keys.setdefault(tuple(row[1:width]), len(keys)) for row in rows]
        found = np.zeros((len(keys), len(periods), len(sums)))
        if rows:
            found[at, [row[0] for row in rows]] = [row[width:] for row in rows]
        return Each(list(keys), found)

    def sums(
        self, table: Table, span_s: int, period: Period, scope: Scope, only: Only
    ) -> list[float]:
        """What the stored rows of a span add up to, column by column; where longer spans are whole,
        they are read instead."""
        last = begin_of(span_s, period.end - 1)
        begin, end = begin_of(span_s, period.begin), begin_of(span_s, last + span_s)
        pieces = [(0, one) for one in cover(begin, end, time.time(), self.ages)]
        names = [column.name for column in table.c if not column.primary_key]
        rows = self._found(table, (), names, pieces, scope, only)
        return [float(value) for value in rows[0][1:]] if rows else [0.0] * len(names)

    def answers(self, by: Sequence[str], period: Period, scope: Scope = EVERYTHING) -> list[Row]:
        """Answers with all that is counted of them, and their times in :data:`BUCKETS`."""
        known = {column.name for column in OUTCOMES.primary_key}
        table = OUTCOMES if not scope.property and known.issuperset(by) else ANSWERS
        return self.read(table, by, (*COUNTS, *BUCKETS, "generate_ms", "queue_ms"), period, scope)

    def families(self, period: Period, scope: Scope = EVERYTHING) -> list[Row]:
        """Answers and work by property, region and family, to the nearest quarter of an hour."""
        by = ("property", "region", "family")
        found = self.each(FAMILIES, by, FAMILIES.sums, [period], scope)
        return [
            Row(labels, dict(zip(FAMILIES.sums, sums, strict=True)))
            for labels, sums in zip(found.labels, found.sums[:, 0].tolist(), strict=True)
        ]

    def work(self, by: Sequence[str], period: Period, scope: Scope = EVERYTHING) -> list[Row]:
        return self.read(WORK, by, ("images", *DEVICE_PARTS), period, scope)

    def held(self, period: Period, scope: Scope = EVERYTHING) -> list[Row]:
        """Allocated seconds by region and device."""
        return self.read(HELD, ("region", "device"), ("allocated_s",), period, scope)

    def opened(self, period: Period, scope: Scope = EVERYTHING) -> list[Row]:
        """Seconds that breakers were open, by region and peer."""
        return self.read(OPEN, ("region", "peer"), ("open_s",), period, scope)

    def crossed(self, period: Period, scope: Scope, most: int) -> list[Row]:
        """The assets that hauled most, by property, asset and reason; whole hours, or days.

        Each span names its own largest only, and of long periods the :data:`_LARGEST` of a span
        count: spans are added and never taken off.
        """
        sums: defaultdict[tuple[str, ...], list[float]] = defaultdict(lambda: [0.0, 0.0])
        with self.database.reading() as session:
            for span_s, start in _named_spans(period):
                of_span = (CROSSED.c.span_s == span_s) & (CROSSED.c.start == start)
                for *name, misses, size in session.execute(_largest(scope).where(of_span)):
                    before = sums[tuple(name)]
                    before[0] += misses
                    before[1] += size
        largest = sorted(sums.items(), key=lambda one: (-one[1][1], one[0]))[:most]
        names = ("misses", "middle_mile_bytes")
        return [Row(name, dict(zip(names, both, strict=True))) for name, both in largest]

    def _rows(
        self,
        table: Table,
        by: Sequence[str],
        sums: Sequence[str],
        pieces: Sequence[Piece],
        scope: Scope,
    ) -> list[Row]:
        found = self._found(table, by, sums, [(0, one) for one in pieces], scope)
        return [_row(row[1:], by, sums) for row in found]

    def _found(
        self,
        table: Table,
        by: Sequence[str],
        sums: Sequence[str],
        pieces: Sequence[tuple[int, Piece]],
        scope: Scope,
        only: Only = MappingProxyType({}),
    ) -> Sequence[Any]:
        spans = _spans(pieces)
        if not spans:
            return []
        with self.database.reading() as session:
            summed = _summed(table, by, sums, spans, _named(table, scope, only))
            return session.execute(summed, execution_options=ONCE).all()


def _spans(pieces: Sequence[tuple[int, Piece]]) -> list[Span]:
    return [
        (number, one.span_s, start, one.sign) for number, one in pieces for start in one.starts()
    ]


def _row(row: Sequence[Any], by: Sequence[str], sums: Sequence[str]) -> Row:
    width = len(by)
    return Row(tuple(row[:width]), dict(zip(sums, row[width:], strict=True)))


def rows_of(table: Table, span_s: int, period: Period, scope: Scope) -> Select[Any]:
    """The stored rows themselves, in the order of their names."""
    chosen = select(table).where(*_named(table, scope), *_of(table, span_s, period))
    return chosen.order_by(*table.primary_key)


def _summed(
    table: Table,
    by: Sequence[str],
    sums: Sequence[str],
    spans: Sequence[Span],
    chosen: Sequence[ColumnElement[bool]],
) -> Select[Any]:
    """By the number that spans have in common, and labels."""
    every = listed(spans)
    same = (table.c.span_s == every.c.span_s) & (table.c.start == every.c.start)
    labels = [every.c.number, *(table.c[name] for name in by)]
    summed = (cast(func.sum(every.c.sign * table.c[name]), Double) for name in sums)
    found = select(*labels, *summed).join_from(every, table, same)
    return found.where(*chosen).group_by(*labels)


def _named_spans(period: Period) -> Iterator[tuple[int, int]]:
    """Hours of a few days, else months and the days that are left."""
    short = period.end - period.begin <= 3 * DAY_S
    at = begin_of(HOUR_S if short else DAY_S, period.begin)
    while at < period.end:
        span_s = HOUR_S if short else DAY_S
        month_ends = begin_of(MONTH_S, at + MONTH_S)
        if not short and at == begin_of(MONTH_S, at) and month_ends <= period.end:
            span_s = MONTH_S
        yield span_s, at
        at = begin_of(span_s, at + span_s)


def _largest(scope: Scope) -> Select[Any]:
    table = CROSSED.c
    columns = (table.property, table.asset, table.reason, table.misses, table.middle_mile_bytes)
    largest = select(*columns).where(*_named(CROSSED, scope))
    return largest.order_by(table.middle_mile_bytes.desc()).limit(_LARGEST)


def _named(
    table: Table, scope: Scope, only: Only = MappingProxyType({})
) -> list[ColumnElement[bool]]:
    wanted = {"property": scope.property, "region": scope.region}
    return [
        *(table.c[name] == value for name, value in wanted.items() if value and name in table.c),
        *(one_of(table, name, values) for name, values in only.items()),
    ]


def one_of(table: Table, name: str, values: Sequence[str]) -> ColumnElement[bool]:
    """What an entry of :data:`Only` asks of a row."""
    label = table.c[name.removeprefix("not_")]
    return label.not_in(values) if name.startswith("not_") else label.in_(values)


def _of(table: Table, span_s: int, period: Period) -> list[Any]:
    return [
        table.c.span_s == span_s,
        table.c.start >= begin_of(span_s, period.begin),
        table.c.start < period.end,
    ]
