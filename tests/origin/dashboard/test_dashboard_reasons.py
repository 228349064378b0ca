"""What holds the rest back is said in words, whatever an edge hauls for."""

from collections.abc import Iterator

from edge.decide import LATE, PASSED_THROUGH, SHED
from kvsync import errors
from kvsync.errors import LogError, OriginUnavailable, RecordError, RehydrationError, Unavailable
from origin.dashboard.traffic import meaning
from origin.ledger.usage import BY_POLICY


def kinds_of(top: type[RehydrationError]) -> Iterator[type[RehydrationError]]:
    yield top
    for one in top.__subclasses__():
        yield from kinds_of(one)


def test_every_reason_of_an_edge_means_something() -> None:
    # Kinds of broken logs are the agent's to tell; what the origin itself fails at is no haul.
    apart = {*LogError.__subclasses__(), OriginUnavailable}
    known = {one for top in (RecordError, Unavailable) for one in kinds_of(top)} - apart
    said = {one.reason for one in known if one.__module__ == errors.__name__}
    own = {LATE.reason, SHED.reason, PASSED_THROUGH.reason, "no-record", *BY_POLICY}
    others = {errors.FingerprintMismatch.reason, errors.ModelError.reason}
    assert [one for one in sorted(said | own | others) if not meaning(one)] == []
