"""The dashboard's questions at a year of 50 properties in 5 regions: goal 200 ms.

Filling the year takes a minute, so ``--full`` does; without it two months are filled. Each question
is asked as the pages ask it, of one property beside all of them, in the zones whose midnight is
farthest from the ledger's. The slowest of four counts, in seconds of the processor: what else
runs on the machine is no matter. Then there are ten times the minutes, and all is asked again.
"""

import gc
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench._ledger_year import DAYS, PROPERTIES, REGIONS, SITES, add_minutes, fill
from origin.dashboard.asked import MOST_DAYS, Asked, ask
from origin.dashboard.replay import replayed
from origin.dashboard.rows import TABLES, Picked, page_of
from origin.dashboard.savings import by_family, earned, headline
from origin.dashboard.traffic import crossing, traffic
from origin.dashboard.ways import forecasts, lately
from origin.dashboard.what_if import what_if
from origin.database import Database
from origin.economics.chosen_books import Books
from origin.economics.price_book import preset
from origin.economics.what_if import Change
from origin.ledger.reading import Reader
from origin.ledger.tables import DAY_S, HOUR_S

ROUNDS = 5
_SCOPES = {"everything": "", "one property": "property-07"}
_RANGES = ("today", "month", "last-month", "year", "")
"""The last one is as many days as are told one by one."""
_ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/Los_Angeles", "Pacific/Auckland")
_CHANGE = Change(per_gb=0.02, machines=2.0)

Times = dict[str, dict[str, list[float]]]
"""Milliseconds by question, and by what it was asked of."""


@dataclass(frozen=True)
class Asking:
    """Of which ledger, in whose midnights, and how often: the first time does not count."""

    reader: Reader
    books: Books
    now: float
    zones: tuple[str, ...]
    rounds: int


def run(full: bool = False) -> dict[str, object]:
    """Milliseconds of each question, and of the slowest, with few minutes and with many."""
    console = Console()
    days, few, many = (DAYS, 200, 2_000) if full else (60, 20, 200)
    with tempfile.TemporaryDirectory(prefix="ledger-year-") as folder:
        database = Database(f"sqlite:///{Path(folder) / 'year.db'}")
        now = int(time.time())
        rows = fill(database, now, days=days)
        of_minutes = add_minutes(database, now, 1, few)
        zones, rounds = (_ZONES, ROUNDS) if full else (_ZONES[::2], 2)
        asking = Asking(Reader(database), Books(preset("s3-internet")), now, zones, rounds)
        # As the console's process does: no question pays for looking through what imports made.
        gc.collect()
        gc.freeze()
        found = measured(asking)
        of_more = of_minutes + add_minutes(database, now, 1 + few, many - few)
        again = measured(asking)
        database.close()
    console.print(_table(found, days))
    slowest = {name: max(map(max, times.values())) for name, times in found.items()}
    return {
        "days": days,
        "rows": rows + of_minutes,
        "slowest_ms": round(max(slowest.values()), 1),
        "p95_ms": round(_p95(found), 1),
        "minute_rows": [of_minutes, of_more],
        "with_ten_times_the_minutes": round(_sum(again) / _sum(found), 3),
        **{
            f"{name.replace(', ', '_').replace(' ', '_')}_ms": round(ms, 1)
            for name, ms in slowest.items()
        },
    }


def measured(asking: Asking) -> Times:
    begun_at = asking.reader.begun_at()
    found: Times = {}
    for zone in asking.zones:
        for range in _RANGES:
            for scope, property in _SCOPES.items():
                last = date.fromtimestamp(asking.now)
                asked = ask(
                    begun_at=begun_at,
                    default_zone=zone,
                    property=property,
                    range=range,
                    first=None if range else last - timedelta(days=MOST_DAYS),
                    last=None if range else last,
                    now=asking.now,
                )
                for name, question in _questions(asking.reader, asking.books, asked).items():
                    of = f"{scope}, {range or f'{MOST_DAYS} days'}, {zone}"
                    found.setdefault(name, {})[of] = _ms(question, asking.rounds)
    return found


def _questions(reader: Reader, books: Books, asked: Asked) -> dict[str, Callable[[], object]]:
    shown = earned(reader, books, asked)
    span_s = HOUR_S if asked.range == "today" else DAY_S
    return {
        "headlines": lambda: headline(reader, books, asked),
        "savings by day and place": lambda: _told(reader, books, asked),
        "savings by family": lambda: by_family(reader, shown),
        "offload, latency, machines": lambda: traffic(reader, books, asked),
        "assets that cross": lambda: crossing(reader, asked),
        "what if": lambda: what_if(reader, books, asked, _CHANGE),
        "policies ahead": lambda: _ahead(reader, books, asked),
        "policies of these days": lambda: replayed(
            reader, books, asked, asked.scope.property or SITES[0]
        ),
        "a page of rows": lambda: page_of(reader, Picked(TABLES["answers"], span_s, asked), 0),
    }


def _ahead(reader: Reader, books: Books, asked: Asked) -> object:
    """As the page of policies asks it of all, with thresholds of one."""
    one = asked.scope.property
    counted = lately(reader, asked.now, one)
    return [
        forecasts(reader, books, name, asked.now, asked.today, exact=bool(one), counted=counted)
        for name in ([one] if one else SITES)
    ]


def _told(reader: Reader, books: Books, asked: Asked) -> object:
    found = earned(reader, books, asked)
    return found.all, found.by_span(), found.by_property(), found.by_region()


def _ms(question: Callable[[], object], rounds: int) -> list[float]:
    question()
    times = []
    for _ in range(rounds - 1):
        begun = time.process_time()
        question()
        times.append(1000 * (time.process_time() - begun))
    return times


def _p95(found: Times) -> float:
    every = sorted(ms for times in found.values() for many in times.values() for ms in many)
    return every[min(len(every) - 1, int(0.95 * len(every)))]


def _sum(found: Times) -> float:
    return sum(min(many) for times in found.values() for many in times.values())


def _table(found: Times, days: int) -> Table:
    title = f"Milliseconds of CPU, {PROPERTIES} properties x {REGIONS} regions x {days} days"
    table = Table(title=title)
    table.add_column("asked of")
    for name in found:
        table.add_column(name, justify="right")
    for of in next(iter(found.values())):
        table.add_row(of, *(f"{max(times[of]):.0f}" for times in found.values()))
    return table
