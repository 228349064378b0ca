"""The rows behind a number: as the ledger has them, on a page, in JSON and as CSV."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from fastapi import Query
from sqlalchemy import Double, Integer, Select, Table, cast, func, select

from kvsync.errors import InputError
from origin.console.desk import NotHere
from origin.dashboard.asked import Asked
from origin.ledger.reading import Only, Reader, one_of, rows_of
from origin.ledger.tables import (
    ANSWERS,
    CARRIED,
    CROSSED,
    DAY_S,
    HELD,
    HOUR_S,
    KEPT,
    MINUTE_S,
    MONTH_S,
    OPEN,
    USAGE,
    WORK,
)

TABLES: Final[dict[str, Table]] = {
    "usage": USAGE,
    "answers": ANSWERS,
    "work": WORK,
    "held": HELD,
    "carried": CARRIED,
    "kept": KEPT,
    "crossed": CROSSED,
    "open": OPEN,
}
SPANS: Final = {"minute": MINUTE_S, "hour": HOUR_S, "day": DAY_S, "month": MONTH_S}
PAGE: Final = 200
_AT_ONCE: Final = 2_000


Labels = Annotated[list[str] | None, Query(max_length=20)]


def only_those(
    family: Labels = None,
    outcome: Labels = None,
    reason: Labels = None,
    device: Labels = None,
    purpose: Labels = None,
    what: Labels = None,
    peer: Labels = None,
    asset: Labels = None,
    not_region: Labels = None,
    not_reason: Labels = None,
) -> Only:
    """Which rows are asked for, like ``outcome=rehydrated&outcome=replica`` in an address."""
    named = {
        "family": family,
        "outcome": outcome,
        "reason": reason,
        "device": device,
        "purpose": purpose,
        "what": what,
        "peer": peer,
        "asset": asset,
        "not_region": not_region,
        "not_reason": not_reason,
    }
    return {name: values for name, values in named.items() if values}


def table_named(name: str) -> Table:
    if name not in TABLES:
        raise NotHere(f"the ledger has no rows {name[:40]!r}; there are {', '.join(TABLES)}")
    return TABLES[name]


def span_named(name: str, asked: Asked) -> int:
    """By its name; without one the longest that still fits the days that were asked for."""
    if not name:
        midnights = asked.period.begin % DAY_S == 0 and asked.period.end % DAY_S == 0
        return DAY_S if midnights and (asked.last - asked.first).days > 2 else HOUR_S
    if name not in SPANS:
        raise InputError(f"no span {name[:40]!r}; there is {', '.join(SPANS)}")
    return SPANS[name]


def columns(table: Table) -> list[str]:
    return [column.name for column in table.c]


@dataclass(frozen=True)
class Picked:
    """Rows of one table: those of the days, place and labels that were asked for."""

    table: Table
    span_s: int
    asked: Asked
    only: Only = field(default_factory=dict)

    def query(self) -> Select[Any]:
        """:class:`InputError` for a label that the table does not have."""
        query = rows_of(self.table, self.span_s, self.asked.period, self.asked.scope)
        for name, values in self.only.items():
            if (label := name.removeprefix("not_")) not in self.table.primary_key.columns:
                raise InputError(f"rows of {self.table.name} have no {label}")
            query = query.where(one_of(self.table, name, values))
        return query


def page_of(reader: Reader, picked: Picked, skip: int, most: int = PAGE) -> Sequence[Any]:
    """Stored rows, in the order of their names, from number ``skip`` on."""
    with reader.database.reading() as session:
        return session.execute(picked.query().offset(skip).limit(most)).all()


def sums_of(reader: Reader, picked: Picked) -> dict[str, float]:
    """What all of them add up to, by column."""
    query = picked.query()
    columns = [column for column in picked.table.c if not column.primary_key]
    if picked.table is CROSSED:
        # Each span names its own largest: those of a month are not those of its days.
        rows = query.order_by(None).subquery()
        summed = (cast(func.sum(rows.c[column.name]), Double) for column in columns)
        with reader.database.reading() as session:
            found = list(session.execute(select(*summed)).one())
    else:
        asked = picked.asked
        found = reader.sums(picked.table, picked.span_s, asked.period, asked.scope, picked.only)
    return {
        column.name: int(value or 0) if isinstance(column.type, Integer) else value or 0.0
        for column, value in zip(columns, found, strict=True)
    }


def as_csv(reader: Reader, picked: Picked) -> Iterator[bytes]:
    """All of them, with a line of names first, a few thousand at a time."""
    query = picked.query()
    yield lines([columns(picked.table)])
    with reader.database.reading() as session:
        rows = session.execute(query.execution_options(yield_per=_AT_ONCE))
        for part in rows.partitions(_AT_ONCE):
            yield lines(part)


def lines(rows: Sequence[Sequence[Any]]) -> bytes:
    """Rows as lines of CSV."""
    out = io.StringIO()
    csv.writer(out).writerows([_safe(value) for value in row] for row in rows)
    return out.getvalue().encode()


def _safe(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula stands behind an apostrophe."""
    starts = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r")
    return f"'{value}" if starts else value
