"""The ledger's largest assets are traffic like a log's."""

from datetime import date
from pathlib import Path

from kvsync.ledger import Answers, Crossed, Minute
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
    assert found.said == ["ledger: nothing was hauled for shop in 30 days"]
    assert (found.first, found.days) == (date(2026, 9, 21), 1)


def test_it_says_how_much_of_all_that_was_hauled_has_a_name(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/origin.db")
    hauled = Answers("shop", "", "origin", "slow", 8, 4_000, 8, 3_600, 3_600, 0.0, 0.0, (0,) * 14)
    rows = (Crossed("shop", "/shop/a.jpg", "slow", 2, 900), hauled)
    Ledger(database).take("asia", ("shop",), [Minute("edge-1", START, rows)], NOW)
    (said,) = read_ledger(database, "shop", NOW).said
    database.close()
    assert "with 25% of all 0.0 MB" in said
