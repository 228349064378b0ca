"""The hit list for people and for programs: a table, CSV, JSON."""

import csv
import io
from typing import Literal

import msgspec
from rich.console import Console
from rich.table import Table

from origin.analysis.command import HitList
from origin.analysis.hits import Hit

COLUMNS = (
    "id", "name", "customers", "template", "images", "bytes", "width", "height", "requests",
    "misses", "recall", "recall_error", "model_bytes", "record_bytes", "train_cost", "gpu_cost",
    "saving", "currency", "prompt", "why", "why_not", "outliers", "taken",
)  # fmt: skip


def print_list(found: HitList, console: Console, most: int) -> None:
    """The first ``most`` families, then what the inventory and the logs say."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("family", "images", "MB", "misses", "recall", "model KB", "saves a month"):
        justify: Literal["left", "right"] = "left" if name == "family" else "right"
        table.add_column(name, justify=justify, no_wrap=True)
    for hit in found.hits[:most]:
        table.add_row(*_row(hit))
    console.print(table)
    for hit in found.hits[:most]:
        console.print(f"\n{hit.name}: {hit.id}", style="bold", highlight=False)
        for heading, lines in (("why", hit.why), ("why not", hit.why_not), ("", _outliers(hit))):
            for line in lines:
                console.print(f"  {heading:<8}{line}", highlight=False, soft_wrap=True)
    if len(found.hits) > most:
        console.print(f"\n{len(found.hits) - most:,} more; --most, --csv or --json show them")
    console.print()
    for note in found.notes:
        console.print(note, highlight=False, soft_wrap=True)


def as_csv(found: HitList) -> str:
    """One line a family; lists are joined by "; "."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for hit in found.hits:
        writer.writerow([_cell(getattr(hit, name)) for name in COLUMNS])
    return text.getvalue()


def as_json(found: HitList) -> bytes:
    return msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"


def _row(hit: Hit) -> list[str]:
    recall = "?"
    if hit.recall is not None and hit.recall_error is not None:
        recall = f"{hit.recall:.0%} ±{hit.recall_error:.0%}"
    return [
        hit.name,
        f"{hit.images:,}",
        f"{hit.bytes / 1e6:,.1f}",
        "?" if hit.misses is None else f"{hit.misses:,.0f}",
        recall,
        "?" if hit.model_bytes is None else f"{hit.model_bytes / 1e3:,.0f}",
        "?" if hit.saving is None else f"{hit.saving:,.4f} {hit.currency}",
    ]


def _outliers(hit: Hit) -> list[str]:
    return [f"not of it: {path}: {why}" for path, why in hit.outliers[:5]]


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return "; ".join(": ".join(one) if isinstance(one, tuple) else str(one) for one in value)
    text = "" if value is None else str(value)
    # A spreadsheet would run what begins like a formula.
    return f"'{text}" if text[:1] in ("=", "+", "@", "\t") else text
