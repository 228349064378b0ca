"""A year of a ledger, straight into its tables: 50 properties in 5 regions, by seed.

Days and months of a whole year; hours and minutes as many as there would be for one day and one
hour, since queries reach only the rows at a span's edges.
"""

import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Table, insert

from kvsync.ledger import Answers, Carried, Held, Kept, Row, Work
from origin.database import Database
from origin.ledger.tables import (
    ANSWERS,
    BUCKETS,
    CARRIED,
    DAY_S,
    HELD,
    HOUR_S,
    KEPT,
    MINUTE_S,
    MONTH_S,
    USAGE,
    WORK,
    begin_of,
)
from origin.ledger.usage import usage_of

PROPERTIES, REGIONS, FAMILIES, DAYS = 50, 5, 2, 365
_WAYS = (
    ("hit", ""),
    ("rehydrated", ""),
    ("origin", "no-record"),
    ("origin", "region"),
    ("stale", "revalidating"),
)
_TABLES: dict[type[Row], Table] = {
    Answers: ANSWERS,
    Work: WORK,
    Held: HELD,
    Carried: CARRIED,
    Kept: KEPT,
}
_AT_ONCE = 5_000


def fill(database: Database, end: int, seed: int = 7, days: int = DAYS) -> dict[str, int]:
    """Fill ``days`` up to ``end`` (Unix seconds); how many rows each table has of them."""
    draw = random.Random(seed)
    day = begin_of(DAY_S, end)
    spans = [(DAY_S, day - DAY_S * back) for back in range(days)]
    spans += [(HOUR_S, begin_of(HOUR_S, end) - HOUR_S * back) for back in range(48)]
    spans += [(MINUTE_S, begin_of(MINUTE_S, end) - MINUTE_S * back) for back in range(60)]
    months = sorted({begin_of(MONTH_S, start) for span_s, start in spans if span_s == DAY_S})
    spans += [(MONTH_S, start) for start in months]
    written: Counter[str] = Counter()
    for span_s, start in spans:
        rows = list(_of_span(span_s, start, draw))
        with database.writing() as session:
            for table in {table for table, _ in rows}:
                mine = [row for its, row in rows if its is table]
                for at in range(0, len(mine), _AT_ONCE):
                    session.execute(insert(table), mine[at : at + _AT_ONCE])
                written[table.name] += len(mine)
    return dict(written)


def _of_span(
    span_s: int, start: int, draw: random.Random
) -> Iterable[tuple[Table, dict[str, Any]]]:
    for region in range(REGIONS):
        where = {"span_s": span_s, "start": start, "region": f"region-{region}"}
        yield HELD, {**where, "device": "h200", "host": "gpu-1", "allocated_s": float(span_s)}
        for number in range(PROPERTIES):
            site = f"property-{number:02}"
            usage: Counter[str] = Counter()
            for row in _rows(site, span_s, draw):
                yield _TABLES[type(row)], {**where, **_columns(row)}
                if (used := usage_of(row)) is not None:
                    used.pop("property")
                    usage.update(used)
            yield USAGE, {**where, "property": site, **usage}


def _rows(site: str, span_s: int, draw: random.Random) -> Iterable[Row]:
    for family in range(FAMILIES):
        name = f"family-{family}"
        for outcome, reason in _WAYS:
            answers = round(span_s * draw.uniform(0.5, 2))
            misses = answers if outcome in ("rehydrated", "origin") else 0
            hauled = misses * 50_000 if outcome == "origin" else 0
            buckets = (0, 0, answers, *(0,) * (len(BUCKETS) - 3))
            counts = (answers, answers * 20_000, misses, hauled, misses * 50_000)
            yield Answers(site, name, outcome, reason, *counts, 3.0 * misses, 1.0 * misses, buckets)
        busy = span_s / (4 * PROPERTIES * FAMILIES)
        yield Work("h200", site, name, "serve", 1_000, busy, busy / 10, busy / 5, 0.0)
    yield Carried(site, "sync", 10_000)
    yield Kept(site, "record", 1e6 * span_s)


def _columns(row: Row) -> dict[str, Any]:
    plain = {name: getattr(row, name) for name in row.__struct_fields__}
    if "buckets" in plain:
        plain |= dict(zip(BUCKETS, plain.pop("buckets"), strict=True))
    return plain
