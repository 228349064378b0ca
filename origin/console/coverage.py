"""How far each family has come, from counts that the database keeps or an index answers."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from origin.console.tables import CountRow
from origin.tables import AssetRow, RecordRow

FROM_SCORE = 80
BINS = 20


@dataclass(frozen=True)
class Coverage:
    """By family: originals with their bytes, candidates by state, and live records."""

    originals: Mapping[str, tuple[int, int]]
    states: Mapping[str, Mapping[str, int]]
    live: Mapping[str, int]


def originals_of(session: Session, property: str = "") -> dict[str, dict[str, tuple[int, int]]]:
    """How many originals each family has, and their bytes, by property; of one, or of all."""
    by_family = select(
        AssetRow.property,
        AssetRow.family,
        func.count(),
        func.coalesce(func.sum(AssetRow.size), 0),
    ).group_by(AssetRow.property, AssetRow.family)
    if property:
        by_family = by_family.where(AssetRow.property == property)
    found: defaultdict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
    for name, family, count, size in session.execute(by_family):
        found[name][family] = count, int(size)
    return found


def coverage(session: Session, property: str) -> Coverage:
    """What the control plane knows of a property's families."""
    by_state = select(CountRow.state, CountRow.family, CountRow.candidates).where(
        CountRow.property == property, CountRow.candidates > 0
    )
    by_live = (
        select(AssetRow.family, func.count())
        .join(RecordRow, RecordRow.asset_id == AssetRow.id)
        .where(RecordRow.property == property)
        .where(RecordRow.kind == "record", RecordRow.ended_at.is_(None))
        .group_by(AssetRow.family)
    )
    states: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for state, family, count in session.execute(by_state):
        states[family][state] = states[family].get(state, 0) + count
    return Coverage(
        originals_of(session, property).get(property, {}),
        states,
        {family: count for family, count in session.execute(by_live)},
    )


def spread(session: Session, property: str, family: str) -> tuple[int, ...]:
    """Scores of what is approved or proposed, in bins of one point from 80 to 100.

    The first bin has all below 81, the last all from 99.
    """
    query = (
        select(CountRow.points, func.sum(CountRow.candidates))
        .where(CountRow.property == property, CountRow.family == family)
        .where(CountRow.state.in_(("approved", "proposed")))
        .group_by(CountRow.points)
    )
    counts = {points: int(count) for points, count in session.execute(query)}
    return tuple(counts.get(FROM_SCORE + at, 0) for at in range(BINS))
