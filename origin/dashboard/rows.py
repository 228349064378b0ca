"""The rows behind a number: as the ledger has them, on a page, in JSON and as CSV."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Table

from kvsync.errors import InputError
from origin.console.desk import NotHere
from origin.dashboard.asked import Asked
from origin.ledger.reading import Reader, rows_of
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


def table_named(name: str) -> Table:
    if name not in TABLES:
        raise NotHere(f"the ledger has no rows {name[:40]!r}; there are {', '.join(TABLES)}")
    return TABLES[name]


def span_named(name: str, asked: Asked) -> int:
    """By its name; without one the longest that still fits the days that were asked for."""
    if not name:
        return HOUR_S if (asked.last - asked.first).days <= 2 else DAY_S
    if name not in SPANS:
        raise InputError(f"no span {name[:40]!r}; there is {', '.join(SPANS)}")
    return SPANS[name]


def columns(table: Table) -> list[str]:
    return [column.name for column in table.c]


def page_of(
    reader: Reader, table: Table, span_s: int, asked: Asked, skip: int, most: int = PAGE
) -> Sequence[Any]:
    """Stored rows, in the order of their names, from number ``skip`` on."""
    with reader.database.reading() as session:
        query = rows_of(table, span_s, asked.period, asked.scope)
        return session.execute(query.offset(skip).limit(most)).all()


def as_csv(reader: Reader, table: Table, span_s: int, asked: Asked) -> Iterator[bytes]:
    """All of them, with a line of names first, a few thousand at a time."""
    yield _lines([columns(table)])
    with reader.database.reading() as session:
        query = rows_of(table, span_s, asked.period, asked.scope)
        rows = session.execute(query.execution_options(yield_per=_AT_ONCE))
        for part in rows.partitions(_AT_ONCE):
            yield _lines(part)


def _lines(rows: Sequence[Sequence[Any]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows([_safe(value) for value in row] for row in rows)
    return out.getvalue().encode()


def _safe(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula stands behind an apostrophe."""
    starts = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r")
    return f"'{value}" if starts else value
