"""A year of a ledger: 50 properties in 5 regions. One minute is taken in as from every region; its
rows are then copied over the year by the database itself, each span as large as it is long.

Days and months are of the whole time. Hours and their parts are where queries may reach them: near
midnights, of those days and months that are told one by one. Minutes are as many as are asked for.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from sqlalchemy import Table, delete, insert, select, text

from kvsync.ledger import BOUNDS_S, Answers, Carried, Crossed, Held, Kept, Minute, Open, Row, Work
from origin.database import Database, ensure_property
from origin.ledger.intake import Ledger
from origin.ledger.tables import (
    DAY_S,
    EVERY,
    HELD,
    HOUR_S,
    MINUTE_S,
    MONTH_S,
    PACKED,
    QUARTER_S,
    SIX_HOURS_S,
    USAGE,
    begin_of,
)
from origin.tables import AssetRow

PROPERTIES, REGIONS, FAMILIES, DAYS = 50, 5, 2, 365
ASSETS = 20
"""That are named in each span of a property and region."""
_WAYS = (
    ("hit", ""),
    ("rehydrated", ""),
    ("origin", "no-record"),
    ("origin", "region"),
    ("stale", "revalidating"),
)
_BY_DAY = (USAGE, HELD)
"""Money is told by the day, so hours at every midnight are read of these, and of what is packed."""
_BY_DAYS = 64
"""As many as are told day by day, with those at their ends."""
_MINUTES = DAY_S // MINUTE_S
_IMAGES = 100
SITES = tuple(f"property-{number:02}" for number in range(PROPERTIES))


def fill(database: Database, end: int, seed: int = 7, days: int = DAYS) -> int:
    """Fill ``days`` up to ``end`` (Unix seconds), with one minute; how many rows that are."""
    draw, ledger = random.Random(seed), Ledger(database)
    at = begin_of(MINUTE_S, end)
    for region in range(REGIONS):
        minute = Minute("worker", at, tuple(_rows(draw)))
        ledger.take(f"region-{region}", SITES, [minute], end)
    with database.writing() as session:
        for site in SITES:
            ensure_property(session, site)
            session.add_all(_originals(site))
        for table in EVERY:
            session.execute(delete(table).where(table.c.span_s != MINUTE_S))
    spans = sorted(set(_spans(begin_of(DAY_S, end), days)))
    rows = sum(
        _copied(database, at, table, [one[:3] for one in spans if table in _BY_DAY or one[3]])
        for table in EVERY
    )
    return rows + _packed(database, [one[:3] for one in spans])


def add_minutes(database: Database, end: int, first: int, count: int) -> int:
    """Copy the latest minute ``count`` times, from number ``first`` before it back; the rows."""
    at = begin_of(MINUTE_S, end)
    spans = [(MINUTE_S, at - MINUTE_S * number, 1) for number in range(first, first + count)]
    return sum(_copied(database, at, table, spans) for table in EVERY)


def _spans(today: int, days: int) -> Iterator[tuple[int, int, int, bool]]:
    """Longer ones than minutes: length, begin, minutes counted, whether every table has them."""
    every = [today - DAY_S * back for back in range(days)]
    of_months = Counter(begin_of(MONTH_S, day) for day in every)
    edges = [begin_of(MONTH_S, today - DAY_S * back) for back in (0, 365)]
    yield from ((MONTH_S, month, count * _MINUTES, True) for month, count in of_months.items())
    for day in every:
        yield DAY_S, day, _MINUTES, True
        whole = today - day < 3 * DAY_S or any(0 <= edge - day <= DAY_S for edge in edges)
        at_edge = day in of_months or day + DAY_S in of_months
        if whole or at_edge or today - day < _BY_DAYS * DAY_S:
            for span_s in (QUARTER_S, HOUR_S, SIX_HOURS_S):
                for start in range(day, day + DAY_S, span_s):
                    yield span_s, start, span_s // MINUTE_S, whole


def _copied(
    database: Database, at: int, table: Table, spans: Iterable[tuple[int, int, int]]
) -> int:
    """Copy the rows of the minute at ``at`` to spans, as often as minutes are in each."""
    names = [column.name for column in table.primary_key][2:]
    sums = [column.name for column in table.c if not column.primary_key]
    times = [f"{name} * column3" for name in sums]
    listed = ",".join(str(one) for one in spans)
    copy = (
        f"INSERT INTO {table.name} (span_s, start, {', '.join(names + sums)}) "
        f"SELECT column1, column2, {', '.join(names + times)} "
        f"FROM (VALUES {listed}) AS listed CROSS JOIN {table.name} "
        f"WHERE span_s = {MINUTE_S} AND start = {at}"
    )
    with database.writing() as session:
        return int(session.execute(text(copy)).rowcount)  # type: ignore[attr-defined]


def _originals(site: str) -> Iterator[AssetRow]:
    for number in range(FAMILIES * _IMAGES):
        path = f"/{site}/{number}.jpg"
        yield AssetRow(
            property=site,
            path=path,
            key=path.encode(),
            family=f"family-{number % FAMILIES}",
            validator="",
            digest=b"",
            media_type="image/jpeg",
            size=50_000,
            attributes={},
        )


def _packed(database: Database, spans: Sequence[tuple[int, int, int]]) -> int:
    """Pack what the minute's quarter of an hour has into spans in the same way, instead of what was
    packed."""
    with database.writing() as session:
        of_minute = session.execute(select(PACKED).where(PACKED.c.span_s == QUARTER_S)).all()
        session.execute(delete(PACKED))
        for span_s, start, minutes in spans:
            copies = [
                {
                    **row._mapping,
                    "span_s": span_s,
                    "start": start,
                    "sums": (np.frombuffer(row.sums) * minutes).tobytes(),
                }
                for row in of_minute
            ]
            session.execute(insert(PACKED), copies)
    return len(of_minute) * len(spans)


def _rows(draw: random.Random) -> Iterable[Row]:
    """A minute of a region."""
    yield Held("h200", "gpu-1", float(MINUTE_S))
    yield Open("http://region.example:8083", 1.0)
    for site in SITES:
        for family in range(FAMILIES):
            name = f"family-{family}"
            yield from _answers(site, name, draw)
            busy = MINUTE_S / (4 * PROPERTIES * FAMILIES)
            yield Work("h200", site, name, "serve", 1_000, busy, busy / 10, busy / 5, 0.0)
        yield Carried(site, "sync", 10_000)
        yield Kept(site, "record", 1e6 * MINUTE_S)
        for number in range(ASSETS):
            size = draw.randrange(50_000, 5_000_000)
            yield Crossed(site, f"/{site}/{number}.jpg", "no-record", size // 50_000, size)


def _answers(site: str, family: str, draw: random.Random) -> Iterable[Answers]:
    for outcome, reason in _WAYS:
        answers = round(MINUTE_S * draw.uniform(0.5, 2))
        misses = answers if outcome in ("rehydrated", "origin") else 0
        hauled = misses * 50_000 if outcome == "origin" else 0
        buckets = (0, 0, answers, *(0,) * (len(BOUNDS_S) - 2))
        counts = (answers, answers * 20_000, misses, hauled, misses * 50_000)
        yield Answers(site, family, outcome, reason, *counts, 3.0 * misses, 1.0 * misses, buckets)
