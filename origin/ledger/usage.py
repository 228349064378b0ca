"""What a row adds to the sums that money is computed from."""

from typing import Any

from kvsync.ledger import Answers, Carried, Kept, Row
from origin.ledger.tables import USAGE

KEPT_IN_REGION = frozenset({"rehydrated", "replica"})
"""Outcomes of misses that the region answered by itself."""

_SUMS = tuple(column.name for column in USAGE.c if not column.primary_key)
_CARRIED = {"sync": "sync_bytes", "model": "model_bytes", "replica": "replica_bytes"}


def usage_of(row: Row) -> dict[str, Any] | None:
    """A row of :data:`USAGE`, whole but for its span and region; None where it adds nothing."""
    match row:
        case Answers():
            added: dict[str, float] = {
                "answers": row.answers,
                "client_bytes": row.client_bytes,
                "misses": row.misses,
                "kept_misses": row.misses if row.outcome in KEPT_IN_REGION else 0,
                "hauled_bytes": row.middle_mile_bytes,
                "avoidable_bytes": row.avoidable_bytes,
            }
        case Carried() if row.what in _CARRIED:
            added = {_CARRIED[row.what]: row.carried_bytes}
        case Kept():
            added = {"kept_byte_s": row.byte_s}
        case _:
            return None
    return {"property": row.property, **dict.fromkeys(_SUMS, 0), **added}
