"""What the ledger says of a span of time: sums by whichever labels are asked for."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Select, Table, func, literal, select, union_all

from origin.database import Database
from origin.ledger.intake import Ages
from origin.ledger.spans import Period, Piece, cover
from origin.ledger.tables import (
    ANSWERS,
    BUCKETS,
    COUNTS,
    CROSSED,
    DAY_S,
    DEVICE_PARTS,
    HELD,
    HOUR_S,
    OPEN,
    USAGE,
    WORK,
    begin_of,
)

Sums = dict[str, float]


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
        with self.database.reading() as session:
            firsts = [
                session.scalar(
                    select(table.c.start)
                    .where(table.c.span_s == DAY_S)
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
        pieces = cover(period.begin, period.end, time.time(), self.ages)
        return self._read(table, by, sums, pieces, scope)

    def days(
        self,
        table: Table,
        by: Sequence[str],
        sums: Sequence[str],
        period: Period,
        scope: Scope = EVERYTHING,
    ) -> dict[int, list[Row]]:
        """What :meth:`read` gives of each day (UTC) of a period, by when it begins: asked once, as
        asking is most of what a day takes."""
        pieces = [Piece(DAY_S, period.begin, period.end, 1)]
        found: dict[int, list[Row]] = {}
        for row in self._read(table, ("start", *by), sums, pieces, scope):
            start, *labels = row.labels
            found.setdefault(int(start), []).append(Row(tuple(labels), row.sums))
        return found

    def answers(self, by: Sequence[str], period: Period, scope: Scope = EVERYTHING) -> list[Row]:
        """Answers with all that is counted of them, and their times in :data:`BUCKETS`."""
        return self.read(ANSWERS, by, (*COUNTS, *BUCKETS, "generate_ms", "queue_ms"), period, scope)

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

        Each span names its own largest only, so spans are added and never taken off.
        """
        span_s = HOUR_S if period.end - period.begin <= 3 * DAY_S else DAY_S
        piece = Piece(span_s, begin_of(span_s, period.begin), period.end, 1)
        sums = ("misses", "middle_mile_bytes")
        found = self._read(CROSSED, ("property", "asset", "reason"), sums, [piece], scope)
        return sorted(found, key=lambda row: -row["middle_mile_bytes"])[:most]

    def _read(
        self,
        table: Table,
        by: Sequence[str],
        sums: Sequence[str],
        pieces: Sequence[Piece],
        scope: Scope,
    ) -> list[Row]:
        if not pieces:
            return []
        with self.database.reading() as session:
            rows = session.execute(_summed(table, by, sums, pieces, scope)).all()
        width = len(by)
        return [
            Row(tuple(row[:width]), dict(zip(sums, map(float, row[width:]), strict=True)))
            for row in rows
        ]


def rows_of(table: Table, span_s: int, period: Period, scope: Scope) -> Select[Any]:
    """The stored rows themselves, in the order of their names."""
    chosen = select(table).where(*_named(table, scope), *_of(table, span_s, period))
    return chosen.order_by(*table.primary_key)


def _summed(
    table: Table, by: Sequence[str], sums: Sequence[str], pieces: Sequence[Piece], scope: Scope
) -> Select[Any]:
    labels: list[Column[Any]] = [table.c[name] for name in by]
    parts = [
        select(
            *labels, *((literal(one.sign) * func.sum(table.c[name])).label(name) for name in sums)
        )
        .where(
            table.c.span_s == one.span_s,
            table.c.start >= one.begin,
            table.c.start < one.end,
            *_named(table, scope),
        )
        .group_by(*labels)
        for one in pieces
    ]
    if len(parts) == 1:
        # Sums of no rows are no sums, even where nothing is grouped.
        return parts[0].having(func.count() > 0)
    every = union_all(*parts).subquery()
    names = [every.c[name] for name in by]
    summed = select(*names, *(func.sum(every.c[name]) for name in sums)).group_by(*names)
    return summed.having(func.count(every.c[sums[0]]) > 0)


def _named(table: Table, scope: Scope) -> list[Any]:
    wanted = {"property": scope.property, "region": scope.region}
    return [table.c[name] == value for name, value in wanted.items() if value and name in table.c]


def _of(table: Table, span_s: int, period: Period) -> list[Any]:
    return [
        table.c.span_s == span_s,
        table.c.start >= begin_of(span_s, period.begin),
        table.c.start < period.end,
    ]
