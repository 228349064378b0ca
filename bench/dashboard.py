"""The dashboard's questions at a year of 50 properties in 5 regions: goal 200 ms.

Filling the year takes some minutes, so ``--full`` does; without it two months are filled. Each
question is asked as the pages ask it, of one property beside all of them, and the slowest of four
counts.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench._ledger_year import DAYS, PROPERTIES, REGIONS, fill
from origin.dashboard.asked import Asked, ask
from origin.dashboard.savings import by_family, earned, headline
from origin.dashboard.traffic import traffic
from origin.database import Database
from origin.economics.chosen_books import Books
from origin.economics.price_book import preset
from origin.ledger.reading import Reader

ROUNDS = 5
_SCOPES = {"everything": "", "one property": "property-07"}
_RANGES = ("month", "year")
_ZONES = ("UTC", "Europe/Berlin")


def run(full: bool = False) -> dict[str, object]:
    """Milliseconds of each question, and of the slowest."""
    console = Console()
    days = DAYS if full else 60
    with tempfile.TemporaryDirectory(prefix="ledger-year-") as folder:
        database = Database(f"sqlite:///{Path(folder) / 'year.db'}")
        rows = fill(database, int(time.time()), days=days)
        found = _measured(Reader(database), Books(preset("s3-internet")))
        database.close()
    console.print(_table(found, days))
    slowest = {name: max(times.values()) for name, times in found.items()}
    return {
        "days": days,
        "rows": sum(rows.values()),
        "slowest_ms": round(max(slowest.values()), 1),
        **{f"{name.replace(' ', '_')}_ms": round(ms, 1) for name, ms in slowest.items()},
    }


def _measured(reader: Reader, books: Books) -> dict[str, dict[str, float]]:
    """Milliseconds by question, and by what it was asked of."""
    begun_at = reader.begun_at()
    found: dict[str, dict[str, float]] = {}
    for zone in _ZONES:
        for range in _RANGES:
            for scope, property in _SCOPES.items():
                asked = ask(begun_at=begun_at, default_zone=zone, property=property, range=range)
                for name, question in _questions(reader, books, asked).items():
                    times = found.setdefault(name, {})
                    times[f"{scope}, {range}, {zone}"] = _slowest_ms(question)
    return found


def _questions(reader: Reader, books: Books, asked: Asked) -> dict[str, Callable[[], object]]:
    shown = earned(reader, books, asked)
    return {
        "headlines": lambda: headline(reader, books, asked),
        "savings by day and place": lambda: earned(reader, books, asked),
        "savings by family": lambda: by_family(reader, shown),
        "offload, latency, machines": lambda: traffic(reader, books, asked),
    }


def _slowest_ms(question: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        question()
        times.append(time.perf_counter() - begun)
    return 1000 * max(times[1:])


def _table(found: dict[str, dict[str, float]], days: int) -> Table:
    table = Table(title=f"Milliseconds, {PROPERTIES} properties x {REGIONS} regions x {days} days")
    table.add_column("question")
    columns = list(next(iter(found.values())))
    for column in columns:
        table.add_column(column, justify="right")
    for name, times in found.items():
        table.add_row(name, *(f"{times[column]:.0f}" for column in columns))
    return table
