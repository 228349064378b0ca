"""Take minutes in: each name once, summed into its minute, hour and day in one transaction."""

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec
from sqlalchemy import Table, delete, select, tuple_
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from kvsync.ledger import Answers, Carried, Crossed, Held, Kept, Minute, Open, Row, Work
from origin.database import Database, insert_into
from origin.ledger.packed import Packs
from origin.ledger.tables import (
    ANSWERS,
    BUCKETS,
    CARRIED,
    CROSSED,
    DAY_S,
    EVERY,
    HELD,
    HOUR_S,
    KEPT,
    MINUTE_S,
    MINUTES,
    MONTH_S,
    MOST_CROSSED,
    OPEN,
    PACKED,
    QUARTER_S,
    SIX_HOURS_S,
    SPANS_S,
    WORK,
    begin_of,
)
from origin.ledger.usage import packed, rolled_up

# A clock that is further ahead would fill days that have not been.
_MOST_AHEAD_S = 600

_TABLES: dict[type[Row], Table] = {
    Answers: ANSWERS,
    Work: WORK,
    Held: HELD,
    Carried: CARRIED,
    Kept: KEPT,
    Crossed: CROSSED,
    Open: OPEN,
}


class Taken(msgspec.Struct, frozen=True):
    """What became of minutes: summed, ``known`` before, or refused for a reason. Of rows, only
    those of a property that the region does not serve are refused."""

    taken: int
    known: int
    refused: dict[str, int]


@dataclass(frozen=True)
class Ages:
    """For how long minutes and hours are kept, in seconds; days always are."""

    minutes_s: int = 30 * 86_400
    hours_s: int = 400 * 86_400

    @classmethod
    def in_days(cls, minutes: int, hours: int) -> Self:
        return cls(minutes * DAY_S, hours * DAY_S)


@dataclass
class Ledger:
    """The database's ledger."""

    database: Database
    kept: Ages = field(default_factory=Ages)

    def take(
        self, region: str, serves: Collection[str], minutes: Iterable[Minute], now: float
    ) -> Taken:
        """Sum ``minutes`` of a region that serves these properties; all of them or, when this
        raises, none. ``now`` is in Unix seconds."""
        refused: Counter[str] = Counter()
        in_time: list[Minute] = []
        for minute in minutes:
            if minute.start > now + _MOST_AHEAD_S:
                refused["ahead"] += 1
            elif minute.start <= now - self.kept.minutes_s:
                refused["too_old"] += 1
            else:
                in_time.append(minute)
        with self.database.writing() as session:
            fresh = [minute for minute in in_time if _is_new(session, region, minute)]
            sums = _Sums()
            for minute in fresh:
                for row in minute.rows:
                    if isinstance(row, Held | Open) or row.property in serves:
                        sums.add(region, minute.start, row)
                    else:
                        refused["property"] += 1
            sums.write(session)
        return Taken(len(fresh), len(in_time) - len(fresh), dict(refused))

    def drop_old(self, now: float) -> int:
        """Drop minutes and hours past their age; how many rows those were."""
        dropped = 0
        minutes = dict.fromkeys((MINUTE_S, QUARTER_S), self.kept.minutes_s)
        hours = dict.fromkeys((HOUR_S, SIX_HOURS_S), self.kept.hours_s)
        with self.database.writing() as session:
            for table in (*EVERY, PACKED):
                for span_s, age_s in (minutes | hours).items():
                    old = (table.c.span_s == span_s) & (table.c.start <= now - age_s)
                    dropped += _count(session, delete(table).where(old))
            names = delete(MINUTES).where(MINUTES.c.start <= now - self.kept.minutes_s)
            session.execute(names)
        return dropped

    async def keep_house(self) -> None:
        """Drop what is old, every hour, for ever."""
        while True:
            await run_in_threadpool(self.drop_old, time.time())
            await asyncio.sleep(HOUR_S)


class _Sums:
    """Rows of the tables by name, summed before they are written."""

    def __init__(self) -> None:
        self._rows: dict[Table, dict[tuple[Any, ...], dict[str, Any]]] = {
            table: {} for table in EVERY
        }
        self._packs = Packs()

    def add(self, region: str, start: int, row: Row) -> None:
        columns = dict(_columns(row))
        self._sum(_TABLES[type(row)], region, start, columns)
        for table, part in rolled_up(row, columns):
            self._sum(table, region, start, part)
        for packing, values in packed(row):
            self._packs.add(packing, region, start, values)

    def _sum(self, table: Table, region: str, start: int, values: dict[str, Any]) -> None:
        labels = {column.name for column in table.primary_key}
        for span_s in (*SPANS_S, MONTH_S):
            named = {"span_s": span_s, "start": begin_of(span_s, start), "region": region}
            named |= {name: value for name, value in values.items() if name in labels}
            sums = {name: value for name, value in values.items() if name not in labels}
            before = self._rows[table].setdefault(tuple(named.values()), named)
            for name, value in sums.items():
                before[name] = before.get(name, 0) + value

    def write(self, session: Session) -> None:
        for table, rows in self._rows.items():
            if rows:
                _write(session, table, list(rows.values()))
        for span in {row[:4] for row in self._rows[CROSSED]}:
            _drop_smallest(session, *span)
        self._packs.write(session)


def _write(session: Session, table: Table, rows: list[dict[str, Any]]) -> None:
    """Add to the rows that are there, or begin them."""
    labels = [column.name for column in table.primary_key]
    new = insert_into(session, table)
    summed = {
        column.name: column + new.excluded[column.name]
        for column in table.c
        if column.name not in labels
    }
    session.execute(new.on_conflict_do_update(index_elements=labels, set_=summed), rows)


def _drop_smallest(session: Session, span_s: int, start: int, region: str, site: str) -> None:
    """Leave the largest of a span. What is dropped begins anew when it crosses again, so that a
    row is at most what crossed: exact for what is large all the time."""
    table = CROSSED
    name = tuple(table.primary_key)
    of_span = (
        (table.c.span_s == span_s)
        & (table.c.start == start)
        & (table.c.region == region)
        & (table.c.property == site)
    )
    by_size = (table.c.middle_mile_bytes.desc(), table.c.asset, table.c.reason)
    small = select(*name).where(of_span).order_by(*by_size).offset(MOST_CROSSED)
    rows = session.execute(small).all()
    if rows:
        session.execute(delete(table).where(tuple_(*name).in_([tuple(row) for row in rows])))


def _is_new(session: Session, region: str, minute: Minute) -> bool:
    new = insert_into(session, MINUTES)
    named = {"region": region, "worker": minute.worker, "start": minute.start}
    added = new.values(named).on_conflict_do_nothing().returning(MINUTES.c.start)
    return session.execute(added).first() is not None


def _columns(row: Row) -> Iterator[tuple[str, Any]]:
    for name in row.__struct_fields__:
        value = getattr(row, name)
        if name == "buckets":
            yield from zip(BUCKETS, value, strict=True)
        else:
            yield name, value


def _count(session: Session, statement: Any) -> int:
    return int(session.execute(statement).rowcount)  # type: ignore[attr-defined]
