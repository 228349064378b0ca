"""The ledger's largest assets are traffic like a log's."""

from datetime import date
from pathlib import Path

from kvsync.ledger import Crossed, Minute
from origin.analysis.own_ledger import read_ledger
from origin.analysis.traffic import Demand
from origin.database import Database
from origin.ledger.intake import Ledger

NOW = 1_790_000_040.0
START = int(NOW) - int(NOW) % 86_400


def test_misses_and_bytes_come_by_asset_and_region(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/origin.db")
    ledger = Ledger(database)
    for region in ("asia", "europe"):
        for minute, reason in enumerate(("no-record", "slow")):
            crossed = (Crossed("shop", "/shop/a.jpg", reason, 2, 900),)
            minutes = [Minute("edge-1", START + 60 * minute, crossed)]
            ledger.take(region, ("shop",), minutes, NOW)
    found = read_ledger(database, "shop", NOW)
    database.close()
    assert found.demand == [
        Demand("/shop/a.jpg", "asia", 4, 1_800, 4, 1_800),
        Demand("/shop/a.jpg", "europe", 4, 1_800, 4, 1_800),
    ]
    assert (found.first, found.days) == (date(2026, 9, 21), 1)
