"""What regions say of a change: who has it, who has not, and until when it may be seen there."""

import builtins
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import func, select

from origin.console.desk import Desk, NotHere
from origin.console.tables import PublicationRow
from origin.ledger.tables import ANSWERS, MINUTE_S
from origin.sync.command import may_serve_until, serving, standings
from origin.sync.confirm import Standing, has
from origin.tables import RecordRow
from origin.workplace import Workplace

DRIFT = "fingerprint"
"""The reason of answers whose picture was made and was not the approved one."""

# Here the origin is the proper source, not a way out.
_PROPER = ("no-record", "revoked", "pass-through")


@dataclass(frozen=True)
class Change:
    """An entry of a property's log, what each region says of it, and until when a region that
    does not have a revocation may go on."""

    property: str
    seq: int
    kind: Literal["record", "canary", "tombstone"]
    regions: list[Standing]
    until: datetime | None

    @builtins.property
    def confirmed(self) -> int:
        return sum(one.confirmed for one in self.regions)

    @builtins.property
    def done(self) -> bool:
        return self.confirmed == len(self.regions)


def change(desk: Desk, property: str, seq: int) -> Change:
    """:class:`NotHere` for a number that no record or tombstone has."""
    query = select(RecordRow.kind, RecordRow.made_at).where(
        RecordRow.property == property, RecordRow.seq == seq
    )
    with desk.database.reading() as session:
        row = session.execute(query).one_or_none()
    if row is None:
        raise NotHere(f"{property}: entry {seq} of the log is no record")
    place = _place(desk, property)
    revoked = row.kind == "tombstone"
    found = standings(place, has(seq, "purged") if revoked else has(seq, "readable", "purged"))
    until = may_serve_until(place, row.made_at) if revoked else None
    return Change(property, seq, row.kind, found, until)


def regions_of(desk: Desk, property: str) -> list[str]:
    """The regions that were admitted for a property."""
    return serving(desk.origin, property)


@dataclass(frozen=True)
class Counts:
    """What shoppers of one region were answered: all, those from the origin because the picture
    made was not the approved one (``drift``), and those that met another fault."""

    region: str
    answers: int
    drift: int
    errors: int


def counts_since(desk: Desk, row: PublicationRow) -> list[Counts]:
    """Of every region, by the ledger, since a publication; whole minutes after it."""
    begun = -(-row.made_at // MINUTE_S) * MINUTE_S
    table = ANSWERS.c
    query = (
        select(table.region, table.outcome, table.reason, func.sum(table.answers))
        .where(table.span_s == MINUTE_S, table.start >= begun, table.property == row.property)
        .group_by(table.region, table.outcome, table.reason)
    )
    with desk.database.reading() as session:
        found = session.execute(query).all()
    return [_count(name, found) for name in regions_of(desk, row.property)]


def _count(region: str, rows: Sequence[Any]) -> Counts:
    mine = [row for row in rows if row[0] == region]
    drift = sum(count for _, _, reason, count in mine if reason == DRIFT)
    faults = sum(
        count
        for _, outcome, reason, count in mine
        if outcome in ("origin", "error") and reason not in (*_PROPER, DRIFT)
    )
    return Counts(region, sum(row[3] for row in mine), drift, faults)


def _place(desk: Desk, property: str) -> Workplace:
    return Workplace(desk.origin, desk.site(property), desk.database, desk.models, desk.key)
