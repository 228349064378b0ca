"""What a region's processes count in one minute, on its way into the ledger.

``POST /v1/ledger/{region}``, msgpack: a list of :class:`Minute`, each at least once. Its name is
(region, worker, minute): whoever takes minutes in takes each name once. A worker's name is another
one whenever it starts anew, so what it had counted before stays counted.

Those who count hand out what they have at ``GET /v1/ledger`` and drop what ``POST /v1/ledger``
names; the region's agent asks them, and confirms what the origin has.
"""

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from kvsync.encoding import UNREADABLE
from kvsync.errors import BadRequest
from kvsync.record import Name, Natural

LEDGER_PATH = "/v1/ledger"
MAX_LEDGER_BYTES = 4 << 20
MINUTE_S = 60

MAX_ASSET_LENGTH = 200
"""Characters of an asset's path in a :class:`Crossed`; what is longer is cut."""

MOST_CROSSED = 20
"""How many assets a worker names in a minute."""

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets that the times of answers are counted in; the last has none."""

Amount = Annotated[float, Meta(ge=0, le=1e15)]
ByteSeconds = Annotated[float, Meta(ge=0, le=1e18)]
Label = Annotated[str, Meta(max_length=80)]
Path = Annotated[str, Meta(max_length=MAX_ASSET_LENGTH)]
Buckets = Annotated[
    tuple[Natural, ...], Meta(min_length=len(BOUNDS_S) + 1, max_length=len(BOUNDS_S) + 1)
]


class Answers(msgspec.Struct, frozen=True, array_like=True, tag="answers"):
    """Answers to clients with one outcome and reason; ``family`` is empty where none is known.

    ``misses`` are those that the region's shared cache could not answer: what they would have
    hauled is ``avoidable_bytes``, once each, whether they did (``middle_mile_bytes``) or not. Bytes
    are all that a connection carries, heads included; over the middle mile in both directions.
    ``generate_ms`` and ``queue_ms`` are what the region said that generating them took on the
    device, and waiting for it. ``buckets`` count answers by the seconds they took
    (:data:`BOUNDS_S`).
    """

    property: Name
    family: Label
    outcome: Name
    reason: Label
    answers: Natural
    client_bytes: Natural
    misses: Natural
    middle_mile_bytes: Natural
    avoidable_bytes: Natural
    generate_ms: Amount
    queue_ms: Amount
    buckets: Buckets


class Work(msgspec.Struct, frozen=True, array_like=True, tag="work"):
    """Seconds that a device was busy for a family, by what with; ``purpose`` is ``serve``,
    ``calibrate`` or ``qa``."""

    device: Name
    property: Name
    family: Label
    purpose: Name
    images: Natural
    generate_s: Amount
    check_s: Amount
    encode_s: Amount
    other_s: Amount


class Held(msgspec.Struct, frozen=True, array_like=True, tag="held"):
    """Wall-clock seconds that ``host`` held a device, busy or idle."""

    device: Name
    host: Label
    allocated_s: Amount


class Carried(msgspec.Struct, frozen=True, array_like=True, tag="carried"):
    """Bytes over the middle mile, both ways, that are no answer's: ``what`` is ``sync``, ``model``
    or ``replica``."""

    property: Name
    what: Name
    carried_bytes: Natural


class Kept(msgspec.Struct, frozen=True, array_like=True, tag="kept"):
    """Bytes that a region kept, times the seconds it kept them: ``what`` is ``record``, ``model``
    or ``replica``."""

    property: Name
    what: Name
    byte_s: ByteSeconds


class Crossed(msgspec.Struct, frozen=True, array_like=True, tag="crossed"):
    """An asset that was among those that cost most over the middle mile, and why it was fetched
    (the reason of :class:`Answers`); ``asset`` is the canonical path."""

    property: Name
    asset: Path
    reason: Label
    misses: Natural
    middle_mile_bytes: Natural


class Open(msgspec.Struct, frozen=True, array_like=True, tag="open"):
    """Seconds that an edge left ``peer`` alone because it had failed (its breaker was open)."""

    peer: Label
    open_s: Amount


Row = Answers | Work | Held | Carried | Kept | Crossed | Open


class MinuteName(msgspec.Struct, frozen=True, array_like=True):
    """Which minute of a region."""

    worker: Label
    start: Natural


class Minute(msgspec.Struct, frozen=True, array_like=True):
    """What ``worker`` counted from ``start`` (Unix seconds, a whole minute) on, for a minute."""

    worker: Label
    start: Natural
    rows: tuple[Row, ...]

    @property
    def name(self) -> MinuteName:
        return MinuteName(self.worker, self.start)


def encode_minutes(minutes: Iterable[Minute]) -> bytes:
    return msgspec.msgpack.encode(tuple(minutes))


def decode_minutes(raw: bytes) -> tuple[Minute, ...]:
    """Raises :class:`BadRequest`."""
    try:
        minutes = msgspec.msgpack.decode(raw, type=tuple[Minute, ...])
    except UNREADABLE as error:
        raise BadRequest(f"not minutes of a ledger: {error}") from error
    for minute in minutes:
        if minute.start % MINUTE_S:
            raise BadRequest(f"minute {minute.start} of worker {minute.worker} is not a whole one")
    return minutes


def encode_names(names: Iterable[MinuteName]) -> bytes:
    return msgspec.msgpack.encode(tuple(names))


def decode_names(raw: bytes) -> tuple[MinuteName, ...]:
    """Raises :class:`BadRequest`."""
    try:
        return msgspec.msgpack.decode(raw, type=tuple[MinuteName, ...])
    except UNREADABLE as error:
        raise BadRequest(f"not names of minutes: {error}") from error
