"""Continuous attributes are approved as a range, by a drawn sample; each asset has its own record.

A sample is drawn evenly along a span of the attribute. Once a person approved every one of it,
the range may be approved: every other proposed candidate inside that scores no worse than the
worst that the person saw.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kvsync.errors import InputError
from origin.database import Database
from origin.qa import audit, find_or_add_approver
from origin.tables import AssetRow, CandidateRow, RangeRow, State

TURN = 360.0


@dataclass(frozen=True)
class Span:
    """From ``low`` to ``high``, ends included, number by number. ``turns``: an angle in degrees,
    where a span may pass through 0."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    turns: bool = False

    def __contains__(self, value: tuple[float, ...] | None) -> bool:
        if value is None or len(value) != len(self.low):
            return False
        if self.turns:
            length = (self.high[0] - self.low[0]) % TURN
            return (value[0] - self.low[0]) % TURN <= length
        return all(
            low <= one <= high for low, one, high in zip(self.low, value, self.high, strict=True)
        )


def parse_value(value: object) -> tuple[float, ...] | None:
    """A number as (n,), a colour ``#rrggbb`` as (red, green, blue); None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return (float(value),)
    text = str(value)
    if text.startswith("#") and len(text) == 7:
        try:
            return tuple(float(one) for one in bytes.fromhex(text[1:]))
        except ValueError:
            return None
    try:
        return (float(text),)
    except ValueError:
        return None


def draw(
    database: Database,
    property: str,
    family: str,
    attribute: str,
    span: Span,
    *,
    count: int,
) -> tuple[int, list[CandidateRow]]:
    """Draw at most ``count`` of the candidates inside, evenly along the span; the range's number.

    :class:`InputError` when nothing proposed lies inside.
    """
    with database.writing() as session:
        inside = _inside(session, property, family, attribute, span, ("proposed",))
        if not inside:
            raise InputError(
                f"{family}: no proposed candidate with {attribute} in that range; see "
                "./rehydrate qa list"
            )
        chosen = [inside[at] for at in _spread(len(inside), count)]
        row = RangeRow(
            property=property,
            family=family,
            attribute=attribute,
            low=list(span.low),
            high=list(span.high),
            turns=span.turns,
            sample=[one.id for one in chosen],
            drawn_at=int(time.time()),
        )
        session.add(row)
        session.flush()
        return row.id, chosen


def approve_range(database: Database, property: str, number: int, *, by: str) -> list[str]:
    """Approve what lies in a range whose whole sample a person approved; the paths.

    :class:`InputError` while one of the sample is not approved, naming it.
    """
    if not by.strip():
        raise InputError("approving needs a person: --by NAME")
    with database.writing() as session:
        row = session.get(RangeRow, number)
        if row is None or row.property != property:
            raise InputError(f"range {number}: not drawn here; see ./rehydrate range draw")
        sample = [session.get_one(CandidateRow, id) for id in row.sample]
        for one in sample:
            if one.state != "approved":
                raise InputError(
                    f"range {number}: {one.asset.path} of its sample is {one.state}; every one "
                    "must be approved by a person who looked"
                )
        worst = min(one.ssimulacra2 for one in sample)
        span = Span(tuple(row.low), tuple(row.high), row.turns)
        inside = _inside(session, property, row.family, row.attribute, span, ("proposed",))
        model = {one.model for one in sample}
        chosen = [one for one in inside if one.ssimulacra2 >= worst and one.model in model]
        approver, now = find_or_add_approver(session, by.strip()), int(time.time())
        for one in chosen:
            one.state, one.reason = "approved", f"range {number} of {row.attribute}"
            one.decided_by, one.decided_at = approver.id, now
            audit(session, by, "approve", one.asset.path, score=one.ssimulacra2, range=number)
        row.decided_by, row.decided_at = approver.id, now
        return [one.asset.path for one in chosen]


def _inside(
    session: Session,
    property: str,
    family: str,
    attribute: str,
    span: Span,
    states: Sequence[State],
) -> list[CandidateRow]:
    query = (
        select(CandidateRow)
        .join(AssetRow)
        .where(AssetRow.property == property, AssetRow.family == family)
        .where(CandidateRow.state.in_(states))
    )
    found: list[tuple[Any, CandidateRow]] = []
    for row in session.scalars(query):
        value = parse_value(row.asset.attributes.get(attribute))
        if value is not None and value in span:
            along = (value[0] - span.low[0]) % TURN if span.turns else value
            found.append(((along, row.asset.path), row))
    return [row for _, row in sorted(found, key=lambda one: one[0])]


def _spread(length: int, count: int) -> list[int]:
    """At most ``count`` positions of a list, evenly, both ends among them."""
    if length <= count or count < 2:
        return list(range(min(length, count)))
    return [round(at * (length - 1) / (count - 1)) for at in range(count)]
