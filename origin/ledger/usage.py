"""What a row adds to the sums that money and traffic are told from: rows of fewer labels, so that a
year of many properties is soon read."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Table

from kvsync.ledger import Answers, Carried, Kept, Row, Work
from origin.ledger.tables import (
    BUSY,
    DEVICE_PARTS,
    FAMILIES,
    OUTCOMES,
    PACKED_USAGE,
    USAGE,
    Packing,
)

KEPT_IN_REGION = frozenset({"rehydrated", "replica"})
"""Outcomes of misses that the region answered by itself."""

DRIFT = "fingerprint"
"""The reason of answers whose picture was made and was not the approved one."""

BY_POLICY = frozenset({"haul", "resilience"})
"""Reasons of misses that a policy had hauled: another would have had them rehydrated."""

_MISSED = KEPT_IN_REGION | {"origin"}
_CARRIED = {"sync": "sync_bytes", "model": "model_bytes", "replica": "replica_bytes"}
_NOTHING = dict.fromkeys(PACKED_USAGE.sums, 0)


def rolled_up(row: Row, columns: dict[str, Any]) -> Iterator[tuple[Table, dict[str, Any]]]:
    """A row's part of each such table; ``columns`` are its own."""
    if isinstance(row, Answers):
        names = {column.name for column in OUTCOMES.c}
        yield OUTCOMES, {name: value for name, value in columns.items() if name in names}
    if used := _usage(row):
        yield USAGE, _NOTHING | used


def packed(row: Row) -> Iterator[tuple[Packing, dict[str, Any]]]:
    """A row's part of what is packed; sums that are not named are 0."""
    if used := _usage(row):
        yield PACKED_USAGE, used
    match row:
        case Answers():
            yield FAMILIES, _answered(row)
        case Work():
            busy_s = sum(getattr(row, part) for part in DEVICE_PARTS)
            yield BUSY, {"device": row.device, "property": row.property, "busy_s": busy_s}
            yield FAMILIES, {"property": row.property, "family": row.family, "busy_s": busy_s}


def _usage(row: Row) -> dict[str, Any]:
    match row:
        case Answers():
            return {
                "property": row.property,
                "answers": row.answers,
                "client_bytes": row.client_bytes,
                "misses": row.misses,
                "kept_misses": row.misses if row.outcome in KEPT_IN_REGION else 0,
                "hauled_bytes": row.middle_mile_bytes,
                "avoidable_bytes": row.avoidable_bytes,
            }
        case Carried() if row.what in _CARRIED:
            return {"property": row.property, _CARRIED[row.what]: row.carried_bytes}
        case Kept():
            return {"property": row.property, "kept_byte_s": row.byte_s}
        case _:
            return {}


def _answered(row: Answers) -> dict[str, Any]:
    is_free = row.outcome in KEPT_IN_REGION or row.reason in BY_POLICY
    return {
        "property": row.property,
        "family": row.family,
        "missed_answers": row.answers if row.outcome in _MISSED else 0,
        "misses": row.misses,
        "middle_mile_bytes": row.middle_mile_bytes,
        "avoidable_bytes": row.avoidable_bytes,
        "made_misses": row.misses if row.outcome == "rehydrated" else 0,
        "free_misses": row.misses if is_free else 0,
        "free_avoidable_bytes": row.avoidable_bytes if is_free else 0,
        "lost_bytes": 0 if is_free else row.middle_mile_bytes,
        "mismatches": row.answers if row.reason == DRIFT else 0,
    }
