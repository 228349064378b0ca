"""How far each family has come: counts that an index alone answers."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from origin.tables import AssetRow, CandidateRow, RecordRow

FROM_SCORE = 80
BINS = 20


@dataclass(frozen=True)
class Coverage:
    """By family: originals with their bytes, candidates by state, and live records."""

    originals: Mapping[str, tuple[int, int]]
    states: Mapping[str, Mapping[str, int]]
    live: Mapping[str, int]


def coverage(session: Session, property: str) -> Coverage:
    """What the control plane knows of a property's families."""
    by_family = (
        select(AssetRow.family, func.count(), func.coalesce(func.sum(AssetRow.size), 0))
        .where(AssetRow.property == property)
        .group_by(AssetRow.family)
    )
    by_state = (
        select(CandidateRow.state, CandidateRow.family, func.count())
        .where(CandidateRow.property == property)
        .group_by(CandidateRow.state, CandidateRow.family)
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
        states[family][state] = count
    return Coverage(
        {family: (count, size) for family, count, size in session.execute(by_family)},
        states,
        {family: count for family, count in session.execute(by_live)},
    )


def spread(session: Session, property: str, family: str) -> tuple[int, ...]:
    """Scores of what is approved or proposed, in bins of one point from 80 to 100.

    The first bin has all below 81, the last all from 99.
    """
    score = CandidateRow.ssimulacra2
    counts = []
    for at in range(BINS):
        query = select(func.count()).where(
            CandidateRow.property == property,
            CandidateRow.family == family,
            CandidateRow.state.in_(("approved", "proposed")),
        )
        query = query.where(score >= FROM_SCORE + at) if at else query
        query = query.where(score < FROM_SCORE + at + 1) if at < BINS - 1 else query
        counts.append(query.scalar_subquery())
    return tuple(session.execute(select(*counts)).one())
