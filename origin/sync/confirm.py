"""Waiting until regions have what was published, and saying which do not."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select, update

from kvsync.report import PropertyReport
from origin.database import Database
from origin.sync.reports import Heard, Reports
from origin.tables import PropertyRow, RecordRow

What = Literal["readable", "purged"]
"""``readable``: its records are in force there. ``purged``: no cache there has what was replaced
or revoked. Publishing waits for both, revoking for the second."""

_POLL_S = 0.02


@dataclass(frozen=True)
class Standing:
    """Where one region is: it confirmed, or not and why; ``heard`` is its last word if any."""

    region: str
    confirmed: bool
    detail: str
    heard: Heard | None


def last_given(database: Database, property: str) -> int:
    """The sequence of the last change of a property."""
    with database.reading() as session:
        query = select(PropertyRow.seq).where(PropertyRow.id == property)
        return session.scalar(query) or 0


async def wait_for_regions(
    reports: Reports,
    property: str,
    regions: Iterable[str],
    reached: Callable[[PropertyReport], bool],
    *,
    timeout_s: float,
) -> list[Standing]:
    """Wait until every reachable one of ``regions`` has ``reached``; one standing for each.

    A region that stops reporting meanwhile is waited for no longer.
    """
    names = sorted(regions)
    begun = time.monotonic()
    while True:
        heard = await reports.of(property)
        now_ms = int(time.time() * 1_000)
        found = [_standing(name, heard.get(name), reached, now_ms) for name in names]
        waiting = [
            one
            for one in found
            if not one.confirmed and one.heard is not None and one.heard.is_recent(now_ms)
        ]
        if not waiting or time.monotonic() - begun > timeout_s:
            return found
        await asyncio.sleep(_POLL_S)


def has(seq: int, *what: What) -> Callable[[PropertyReport], bool]:
    """Whether a region is at least at ``seq`` in each respect."""

    def reached(report: PropertyReport) -> bool:
        at = {"readable": report.readable_seq, "purged": report.purged_seq}
        return all(at[one] >= seq for one in what)

    return reached


def note_delivered(database: Database, property: str, seq: int) -> None:
    """Write down that every region has what was published up to ``seq``."""
    with database.writing() as session:
        session.execute(
            update(RecordRow)
            .where(
                RecordRow.property == property,
                RecordRow.seq <= seq,
                RecordRow.delivered_at.is_(None),
            )
            .values(delivered_at=int(time.time()))
        )


def _standing(
    name: str, heard: Heard | None, reached: Callable[[PropertyReport], bool], now_ms: int
) -> Standing:
    if heard is None:
        return Standing(name, False, "was never heard of", None)
    ago = (now_ms - heard.at_ms) / 1_000
    if reached(heard.report):
        return Standing(name, True, _where(heard.report), heard)
    if not heard.is_recent(now_ms):
        return Standing(name, False, f"not heard of for {ago:.0f} s", heard)
    return Standing(name, False, _where(heard.report), heard)


def _where(report: PropertyReport) -> str:
    told = f"at {report.seq}"
    if report.readable_seq < report.seq:
        told += f", {report.seq - report.readable_seq} wait for their model"
    if report.purged_seq < report.seq:
        late = ", ".join(report.unpurged) or "its caches"
        told += f", not confirmed by {late}"
    return told
