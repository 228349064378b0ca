"""What regions say of a change: who has it, who has not, and until when it may be seen there."""

import builtins
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import select

from origin.console.desk import Desk, NotHere
from origin.console.tables import PublicationRow
from origin.ledger.reading import Reader, Row, Scope
from origin.ledger.spans import Period
from origin.ledger.tables import MINUTE_S
from origin.ledger.usage import DRIFT
from origin.sync.command import may_serve_until, serving, standings
from origin.sync.confirm import Standing, has
from origin.tables import RecordRow
from origin.workplace import Workplace

# Here the origin is the proper source, not a way out.
_PROPER = ("no-record", "revoked", "pass-through", "haul")


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
    # Clocks of regions may be a little ahead.
    ended = (int(time.time()) // MINUTE_S + 2) * MINUTE_S
    period = Period(begun, ended, datetime.fromtimestamp(begun, UTC).date())
    found = Reader(desk.database).answers(
        ("region", "outcome", "reason"), period, Scope(property=row.property)
    )
    return [_count(name, found) for name in regions_of(desk, row.property)]


def _count(region: str, rows: Sequence[Row]) -> Counts:
    answers = drift = faults = 0
    for row in rows:
        where, outcome, reason = row.labels
        if where != region:
            continue
        count = int(row["answers"])
        answers += count
        if reason == DRIFT:
            drift += count
        elif outcome in ("origin", "error") and reason not in _PROPER:
            faults += count
    return Counts(region, answers, drift, faults)


def _place(desk: Desk, property: str) -> Workplace:
    return Workplace(desk.origin, desk.site(property), desk.database, desk.models, desk.key)
