"""Rows of the ledger as people read them; CSV and JSON have them as they are stored."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from origin.dashboard.rows import Picked, columns
from origin.dashboard.words import day, figure, size
from origin.ledger.tables import DAY_S, MONTH_S

ABOUT: Final = {
    "usage": "What each property used in each region.",
    "answers": "What edges answered, by how it was answered and why.",
    "work": "What machines made, for whom, and how long each step took.",
    "held": "How long machines were held, at work or not.",
    "carried": "What regions pulled besides images: records, models, originals to keep.",
    "kept": "What regions keep.",
    "crossed": "Of each span the assets that were hauled most.",
    "open": "How long edges left a region or the origin alone after it had failed.",
}
"""A sentence for each table."""

_HEADINGS: Final = {
    "start": "When",
    "answers": "Answers",
    "outcome": "Answered by",
    "client_bytes": "Sent to clients",
    "kept_misses": "Misses kept here",
    "hauled_bytes": "Hauled",
    "middle_mile_bytes": "Hauled",
    "avoidable_bytes": "Would have been hauled",
    "sync_bytes": "Records",
    "model_bytes": "Models",
    "replica_bytes": "Originals to keep",
    "kept_byte_s": "Kept, GB-months",
    "byte_s": "Kept, GB-months",
    "carried_bytes": "Pulled",
    "allocated_s": "Held, s",
    "open_s": "Left alone, s",
    "generate_ms": "Generating, ms",
    "queue_ms": "Waiting, ms",
    "generate_s": "Generating, s",
    "check_s": "Checking, s",
    "encode_s": "Encoding, s",
    "other_s": "Other, s",
    "peer": "Who",
}
_GB_MONTH: Final = 1e9 * 30 * DAY_S


def on_a_page(
    picked: Picked, rows: Sequence[Sequence[Any]], sums: Mapping[str, float]
) -> dict[str, Any]:
    """The page's context: headings, rows and sums without the span, which is said above, and the
    buckets of times."""
    names = columns(picked.table)
    shown = [
        (at, name)
        for at, name in enumerate(names)
        if name != "span_s" and not name.startswith("bucket_")
    ]
    return {
        "headings": [_HEADINGS.get(name, name.replace("_", " ").capitalize()) for _, name in shown],
        "rows": [[_told(name, row[at], picked.span_s) for at, name in shown] for row in rows],
        "numbers": [name in sums for _, name in shown],
        "sums": [
            _told(name, sums[name], picked.span_s) if name in sums else "" for _, name in shown
        ],
    }


def _told(name: str, value: Any, span_s: int) -> str:
    if name == "start":
        return _when(value, span_s)
    if name.endswith("_bytes"):
        return size(value)
    if name.endswith("byte_s"):
        return f"{value / _GB_MONTH:.3g}"
    return figure(value)


def _when(start: int, span_s: int) -> str:
    moment = datetime.fromtimestamp(start, UTC)
    if span_s == MONTH_S:
        return day(f"{moment:%Y-%m}")
    return day(moment.date()) + ("" if span_s == DAY_S else f", {moment:%H:%M}")
