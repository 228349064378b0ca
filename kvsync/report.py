"""What a region tells the origin of itself, and what the origin asks of it in return.

``POST /v1/regions/{region}/report``, JSON both ways: regions ask the origin, never the other way
round, so a region needs no way in.
"""

from typing import Annotated, Self

import msgspec
from msgspec import Meta

from kvsync.encoding import UNREADABLE
from kvsync.errors import BadRequest, RegionUnavailable
from kvsync.record import Name, Natural
from kvsync.replica import ReplicaReport

REGIONS_PATH = "/v1/regions"
MAX_REPORT_BYTES = 1 << 20
MAX_DIFFERING = 100


class PropertyReport(msgspec.Struct, frozen=True):
    """Where a region is with one property.

    ``seq`` is of the last batch it applied, ``readable_seq`` of the last entry that is in force
    there (less while records wait for their model), ``purged_seq`` of the last one whose
    invalidations every cache of the region confirmed; ``unpurged`` names the caches that did not.
    ``renewed_at_ms`` is the time of the newest heartbeat that it has caught up with. ``lag_ms`` is
    how old that was when it came to be so. The last comparison of key ranges, at
    ``compared_at_ms``, found ``differing`` keys (hex, at most 100 of ``differing_count``) and
    repaired them; ``compared_request`` is the origin's last request that one was made for.
    ``refused`` counts what was not applied, by reason. ``replica`` is what it keeps of originals,
    None where it keeps none.
    """

    seq: Natural
    readable_seq: Natural
    purged_seq: Natural
    records: Natural
    renewed_at_ms: Natural = 0
    lag_ms: Natural = 0
    unpurged: tuple[str, ...] = ()
    compared_at_ms: Natural = 0
    compared_request: Natural = 0
    differing_count: Natural = 0
    differing: Annotated[tuple[str, ...], Meta(max_length=MAX_DIFFERING)] = ()
    repaired_at_ms: Natural = 0
    refused: dict[str, int] = {}
    replica: ReplicaReport | None = None


class RegionReport(msgspec.Struct, frozen=True):
    """One region's report: by id those of its properties that changed, or all every few seconds,
    at ``at_ms`` of its own clock."""

    region: Name
    at_ms: Natural
    properties: dict[str, PropertyReport]

    def encode(self) -> bytes:
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        try:
            return msgspec.json.decode(raw, type=cls)
        except UNREADABLE as error:
            raise BadRequest(f"not a region's report: {error}") from error


class ReportAnswer(msgspec.Struct, frozen=True):
    """The origin's answer: its clock, and by property the number of its last request to compare.

    A region that has not carried out that request (``compared_request``) compares now.
    """

    at_ms: Natural
    compare: dict[str, int] = {}

    def encode(self) -> bytes:
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        try:
            return msgspec.json.decode(raw, type=cls)
        except UNREADABLE as error:
            raise RegionUnavailable(f"not an answer to a report: {error}") from error
