"""What a row adds to the sums that money and traffic are told from: tables of fewer labels, so that
a year of many properties is a few thousand rows."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Table

from kvsync.ledger import Answers, Carried, Kept, Row, Work
from origin.ledger.tables import BUSY, DEVICE_PARTS, FAMILIES, OUTCOMES, USAGE

KEPT_IN_REGION = frozenset({"rehydrated", "replica"})
"""Outcomes of misses that the region answered by itself."""

DRIFT = "fingerprint"
"""The reason of answers whose picture was made and was not the approved one."""

_MISSED = KEPT_IN_REGION | {"origin"}
_CARRIED = {"sync": "sync_bytes", "model": "model_bytes", "replica": "replica_bytes"}


def rolled_up(row: Row, columns: dict[str, Any]) -> Iterator[tuple[Table, dict[str, Any]]]:
    """A row's part of each such table; ``columns`` are its own."""
    match row:
        case Answers():
            yield USAGE, _whole(USAGE, _usage(row), property=row.property)
            names = {column.name for column in OUTCOMES.c}
            yield OUTCOMES, {name: value for name, value in columns.items() if name in names}
            of_family = {"property": row.property, "family": row.family}
            yield FAMILIES, _whole(FAMILIES, _answered(row), **of_family)
        case Work():
            busy_s = sum(getattr(row, part) for part in DEVICE_PARTS)
            yield BUSY, {"device": row.device, "property": row.property, "busy_s": busy_s}
            of_family = {"property": row.property, "family": row.family}
            yield FAMILIES, _whole(FAMILIES, {"busy_s": busy_s}, **of_family)
        case Carried() if row.what in _CARRIED:
            carried = {_CARRIED[row.what]: row.carried_bytes}
            yield USAGE, _whole(USAGE, carried, property=row.property)
        case Kept():
            yield USAGE, _whole(USAGE, {"kept_byte_s": row.byte_s}, property=row.property)


def _usage(row: Answers) -> dict[str, float]:
    return {
        "answers": row.answers,
        "client_bytes": row.client_bytes,
        "misses": row.misses,
        "kept_misses": row.misses if row.outcome in KEPT_IN_REGION else 0,
        "hauled_bytes": row.middle_mile_bytes,
        "avoidable_bytes": row.avoidable_bytes,
    }


def _answered(row: Answers) -> dict[str, float]:
    return {
        "missed_answers": row.answers if row.outcome in _MISSED else 0,
        "misses": row.misses,
        "middle_mile_bytes": row.middle_mile_bytes,
        "avoidable_bytes": row.avoidable_bytes,
        "made_misses": row.misses if row.outcome == "rehydrated" else 0,
        "mismatches": row.answers if row.reason == DRIFT else 0,
    }


def _whole(table: Table, sums: Mapping[str, float], **labels: str) -> dict[str, Any]:
    """All that a row of the table has but its span and region; what is not given is 0."""
    nothing = {column.name: 0 for column in table.c if not column.primary_key}
    return {**labels, **nothing, **sums}
