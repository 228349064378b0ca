"""A ledger as regions fill it: minutes, by hand."""

import datetime
import time
from collections.abc import Iterable
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import select

from kvsync.ledger import (
    BOUNDS_S,
    Answers,
    Carried,
    Crossed,
    Held,
    Kept,
    Minute,
    Open,
    Row,
    Work,
)
from origin import database as databases
from origin.database import Database
from origin.ledger.intake import Ledger
from origin.ledger.packed import unpack
from origin.ledger.tables import PACKED

SHOP, FAMILY, ASIA, EUROPE = "rumba", "rumba", "asia-east", "europe-west"
NO_TIMES = (0,) * (len(BOUNDS_S) + 1)


def answers(
    outcome: str,
    count: int,
    *,
    reason: str = "",
    family: str = FAMILY,
    image_bytes: int = 50_000,
    bucket: int = 4,
    property: str = SHOP,
) -> Answers:
    """``count`` answers, each a miss but for hits, all in one bucket of time."""
    misses = 0 if outcome == "hit" else count
    hauled = misses * image_bytes if outcome == "origin" else 0
    times = tuple(count if number == bucket else 0 for number in range(len(NO_TIMES)))
    return Answers(
        property,
        family,
        outcome,
        reason,
        count,
        count * 20_000,
        misses,
        hauled,
        misses * image_bytes,
        float(misses),
        0.0,
        times,
    )


def work(images: int, busy_s: float, *, family: str = FAMILY, device: str = "cpu") -> Work:
    """Three quarters of the busy time generate, the rest encodes."""
    return Work(device, SHOP, family, "serve", images, 0.75 * busy_s, 0.0, 0.25 * busy_s, 0.0)


def loading(seconds: float) -> Work:
    """What every region's machine does first: no family's work."""
    return Work("cpu", SHOP, "", "load", 0, 0.0, 0.0, 0.0, seconds)


def held(seconds: float, device: str = "cpu") -> Held:
    return Held(device, "host-1", seconds)


def some_of_everything() -> tuple[Row, ...]:
    return (
        answers("hit", 6_000, bucket=0),
        answers("rehydrated", 3_000, bucket=5),
        answers("origin", 1_000, reason="no-record", bucket=8),
        work(3_000, 20.0),
        held(60.0),
        Carried(SHOP, "sync", 100_000),
        Carried(SHOP, "model", 1_000_000),
        Kept(SHOP, "record", 102_400 * 60.0),
        Kept(SHOP, "model", 1_000_000 * 60.0),
        Crossed(SHOP, "/rumba/new-red.jpg", "no-record", 900, 45_000_000),
        Open("http://region.example:8083", 12.0),
    )


def count(
    ledger: Ledger, at: float, rows: Iterable[Row], *, region: str = ASIA, worker: str = "edge-1"
) -> None:
    """Have a minute counted, as it is when its region sends it."""
    minute = Minute(worker, int(at) // 60 * 60, tuple(rows))
    now = max(time.time(), at)
    taken = ledger.take(region, (SHOP, "other"), [minute], now)
    assert taken.taken == 1, taken


def moment(text: str) -> float:
    """The Unix seconds of a moment in UTC like ``2026-11-21 09:30``."""
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC).timestamp()


def packed_sums(ledger: Ledger) -> dict[tuple[object, ...], dict[tuple[str, ...], list[float]]]:
    """All that is packed, by span, start, packing and region."""
    with ledger.database.reading() as session:
        rows = session.execute(select(PACKED)).all()
    return {
        tuple(row[:4]): {name: list(sums) for name, sums in unpack(row.labels, row.sums).items()}
        for row in rows
    }


def migrated(database: Database, revision: str) -> None:
    """Have its tables as they were (or are) at a revision."""
    config = Config()
    folder = Path(databases.__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder))
    with database.engine.connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        move = command.upgrade if revision == "head" else command.downgrade
        move(config, revision)
