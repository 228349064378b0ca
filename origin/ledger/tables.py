"""The ledger's tables: sums over a span of time, named by where, what and for whom.

Each holds minutes, hours, days and months at once: ``span_s`` is one of :data:`SPANS_S` or
:data:`MONTH_S`, ``start`` the Unix second (UTC) that a span begins with. A row's name is its
primary key; everything else is summed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from kvsync.ledger import BOUNDS_S, MAX_ASSET_LENGTH
from origin.tables import Base

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
QUARTER_S, SIX_HOURS_S = 900, 21_600
"""Few of these reach from a midnight in UTC to anybody else's."""
SPANS_S = (MINUTE_S, QUARTER_S, HOUR_S, SIX_HOURS_S, DAY_S)
MONTH_S = 31 * DAY_S
"""The name of a calendar month (UTC), however many days it has."""
BUCKETS = tuple(f"bucket_{number:02}" for number in range(len(BOUNDS_S) + 1))

COUNTS = ("answers", "client_bytes", "misses", "middle_mile_bytes", "avoidable_bytes")
DEVICE_PARTS = ("generate_s", "check_s", "encode_s", "other_s")


_LENGTHS = {"asset": MAX_ASSET_LENGTH}


def _sums(name: str, labels: Iterable[str], whole: Iterable[str], parts: Iterable[str]) -> Table:
    return Table(
        name,
        Base.metadata,
        Column("span_s", Integer, primary_key=True),
        Column("start", BigInteger, primary_key=True, autoincrement=False),
        *(
            Column(label, String(_LENGTHS.get(label, 80)), primary_key=True)
            for label in ("region", *labels)
        ),
        *(Column(sum_, BigInteger, nullable=False) for sum_ in whole),
        *(Column(sum_, Double, nullable=False) for sum_ in parts),
    )


MINUTES = Table(
    "ledger_minutes",
    Base.metadata,
    Column("region", String(80), primary_key=True),
    Column("worker", String(80), primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Index(None, "start"),
)
"""The names of minutes that were taken in; those no longer kept are not taken in again either."""

ANSWERS = _sums(
    "ledger_answers",
    ("property", "family", "outcome", "reason"),
    (*COUNTS, *BUCKETS),
    ("generate_ms", "queue_ms"),
)
WORK = _sums("ledger_work", ("device", "property", "family", "purpose"), ("images",), DEVICE_PARTS)
HELD = _sums("ledger_held", ("device", "host"), (), ("allocated_s",))
CARRIED = _sums("ledger_carried", ("property", "what"), ("carried_bytes",), ())
KEPT = _sums("ledger_kept", ("property", "what"), (), ("byte_s",))
CROSSED = _sums(
    "ledger_crossed", ("property", "asset", "reason"), ("misses", "middle_mile_bytes"), ()
)
"""Only the largest of a property and region in each span: :data:`MOST_CROSSED`."""
Index(
    "ix_ledger_crossed_largest",
    *(CROSSED.c[name] for name in ("span_s", "start", "middle_mile_bytes", "property", "region")),
)
OPEN = _sums("ledger_open", ("peer",), (), ("open_s",))

MOST_CROSSED = 100

USAGE = _sums(
    "ledger_usage",
    ("property",),
    (
        "answers",
        "client_bytes",
        "misses",
        "kept_misses",
        "hauled_bytes",
        "avoidable_bytes",
        "sync_bytes",
        "model_bytes",
        "replica_bytes",
    ),
    ("kept_byte_s",),
)
"""What money is computed from, one row per region and property: the others summed up once more, so
that a year of many properties is a few thousand rows. ``kept_misses`` were answered in the region.
"""

OUTCOMES = _sums(
    "ledger_outcomes", ("outcome", "reason"), (*COUNTS, *BUCKETS), ("generate_ms", "queue_ms")
)
"""Answers of all properties together."""

EVERY = (ANSWERS, WORK, HELD, CARRIED, KEPT, CROSSED, OPEN, USAGE, OUTCOMES)


@dataclass(frozen=True)
class Packing:
    """Sums by region and ``labels`` that are kept in :data:`PACKED` under this name."""

    name: str
    labels: tuple[str, ...]
    sums: tuple[str, ...]


PACKED_USAGE = Packing(
    "usage", ("property",), tuple(column.name for column in USAGE.c if not column.primary_key)
)
"""The rows of :data:`USAGE` once more."""

BUSY = Packing("busy", ("device", "property"), ("busy_s",))
"""The seconds that money is computed from."""

FAMILIES = Packing(
    "families",
    ("property", "family"),
    (
        "missed_answers",
        "misses",
        "middle_mile_bytes",
        "avoidable_bytes",
        "made_misses",
        "free_misses",
        "free_avoidable_bytes",
        "lost_bytes",
        "mismatches",
        "busy_s",
    ),
)
"""Answers and work by family. ``missed_answers`` are those that no edge had kept, ``made_misses``
those that were rehydrated, ``mismatches`` those whose picture was made and not the approved one.
``free_misses`` any policy could have answered in its way; ``lost_bytes`` crossed for the others."""

PACKED = Table(
    "ledger_packed",
    Base.metadata,
    Column("span_s", Integer, primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("name", String(20), primary_key=True),
    Column("region", String(80), primary_key=True),
    Column("labels", Text, nullable=False),
    Column("sums", LargeBinary, nullable=False),
)
"""All rows that a :class:`Packing` has of a span and region as one: origin/ledger/packed.py."""

PACKED_SPANS_S = (*SPANS_S[1:], MONTH_S)
"""Everybody's midnight is one of a quarter of an hour."""


def begin_of(span_s: int, at: int) -> int:
    """When the span that has the second ``at`` begins."""
    if span_s != MONTH_S:
        return at - at % span_s
    first = datetime.fromtimestamp(at, UTC).replace(day=1, hour=0, minute=0, second=0)
    return int(first.timestamp())
