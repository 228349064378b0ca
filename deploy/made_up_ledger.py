"""Six weeks of a ledger for pictures of the dashboard: a region that saves, and one that loses."""

import math
import time
from collections.abc import Iterator

from deploy.layout import REGIONS
from deploy.parts import PROPERTY
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
from origin.database import Database
from origin.ledger.intake import Ages, Ledger
from origin.ledger.own_work import THE_ORIGIN
from origin.ledger.tables import DAY_S, HOUR_S

SAVES, LOSES = REGIONS[1], REGIONS[2]
DAYS = 42
_IMAGE_BYTES = 50_000
_RECORDS_BYTES, _MODEL_BYTES = 102_384, 1_020_000


def fill(database: Database, now: float | None = None) -> None:
    """Count every hour of six weeks; what an hour has is told in its first minute."""
    end = time.time() if now is None else now
    ledger = Ledger(database, Ages(minutes_s=2 * DAYS * DAY_S))
    begun = int(end) // DAY_S * DAY_S - (DAYS - 1) * DAY_S
    for region in (SAVES, LOSES):
        minutes = [
            Minute("made-up", start, tuple(_hour(region, start, begun)))
            for start in range(begun, int(end) // HOUR_S * HOUR_S, HOUR_S)
        ]
        ledger.take(region, (PROPERTY,), minutes, end)
    drawn = [Minute("made-up", start, _drawn()) for start in range(begun, int(end), 7 * DAY_S)]
    ledger.take(THE_ORIGIN, (PROPERTY,), drawn, end)


def _drawn() -> tuple[Row, ...]:
    """A gallery's candidates, drawn at the origin for people to judge."""
    return (
        Work("cpu", PROPERTY, PROPERTY, "qa", 216 * 8, 5_400.0, 0.0, 0.0, 0.0),
        Held("cpu", "origin", 5_800.0),
    )


def _hour(region: str, start: int, begun: int) -> Iterator[Row]:
    """Busy in the evening; more is kept in the region as more is approved."""
    evening = 1 + 0.6 * math.sin((start % DAY_S / DAY_S - 0.5) * 2 * math.pi)
    weekend = 0.7 if (start // DAY_S) % 7 > 4 else 1.0
    demand = round((52_000 if region == SAVES else 900) * evening * weekend)
    approved = 0.35 + 0.6 * min(1.0, (start - begun) / (25 * DAY_S))
    kept = round(demand * approved)
    crossed = demand - kept
    yield _answers("hit", "", 4 * demand, 0, 1)
    yield _answers("rehydrated", "", kept, kept, 5)
    yield _answers("origin", "no-record", crossed - crossed // 10, crossed - crossed // 10, 8)
    yield _answers("origin", "region", crossed // 10, crossed // 10, 9)
    yield _answers("origin", "fingerprint", kept // 20_000, kept // 20_000, 8)
    busy = kept / 46.0
    parts = (0.55 * busy, 0.05 * busy, 0.35 * busy, 0.05 * busy)
    yield Work("cpu", PROPERTY, PROPERTY, "serve", kept, *parts)
    yield Work("cpu", PROPERTY, PROPERTY, "calibrate", 8, 0.2, 0.02, 0.0, 0.01)
    yield Held("cpu", f"{region}-1", float(HOUR_S))
    yield Carried(PROPERTY, "sync", 4_000)
    if start % (7 * DAY_S) == 0:
        yield Carried(PROPERTY, "model", _MODEL_BYTES)
    yield Kept(PROPERTY, "record", float(_RECORDS_BYTES * HOUR_S))
    yield Kept(PROPERTY, "model", float(_MODEL_BYTES * HOUR_S))
    for number, lace in enumerate(("neon-pink", "copper", "olive", "teal")):
        misses = max(1, crossed // (3 * (number + 2)))
        path = f"/{PROPERTY}/rumba_{lace}_white_front.jpg"
        yield Crossed(PROPERTY, path, "no-record", misses, misses * _IMAGE_BYTES)
    if start % DAY_S == 19 * HOUR_S:
        yield Open(f"http://{region}:8083", 4.0)


def _answers(outcome: str, reason: str, count: int, misses: int, bucket: int) -> Answers:
    hauled = misses * _IMAGE_BYTES if outcome == "origin" else 0
    times = [0] * (len(BOUNDS_S) + 1)
    times[bucket], times[bucket + 1] = count - count // 12, count // 12
    generated = 21.0 * misses if outcome == "rehydrated" else 0.0
    return Answers(
        PROPERTY,
        PROPERTY,
        outcome,
        reason,
        count,
        count * 14_000,
        misses,
        hauled,
        misses * _IMAGE_BYTES,
        generated,
        generated / 8,
        tuple(times),
    )
