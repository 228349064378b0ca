"""What shoppers are shown, and what is approved and waits to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from origin.console.desk import Desk
from origin.console.tables import PromptRow
from origin.live import USED
from origin.tables import AssetRow, CandidateRow, RecordRow

PAGE = 60
MANY = 1_000
"""So many are counted one by one."""


@dataclass(frozen=True)
class Live:
    """A record that some region may use, and its asset."""

    path: str
    family: str
    attributes: Mapping[str, Any]
    seq: int
    kind: str
    candidate_id: int | None
    made_at: int


@dataclass(frozen=True)
class Shown:
    """One page of the live assets whose path has ``like`` in it, the newest record first."""

    rows: Sequence[Live]
    number: int
    total: int
    like: str = ""

    @property
    def last(self) -> int:
        return max(1, -(-self.total // PAGE))


def shown(desk: Desk, property: str, like: str = "", number: int = 1) -> Shown:
    """``number`` from 1; canaries are among them, as some region shows them."""
    number = max(1, number)
    columns = (
        AssetRow.path,
        AssetRow.family,
        AssetRow.attributes,
        RecordRow.seq,
        RecordRow.kind,
        RecordRow.candidate_id,
        RecordRow.made_at,
    )
    page = (
        select(*columns)
        .join(AssetRow, AssetRow.id == RecordRow.asset_id)
        .where(RecordRow.id.in_(_ids(property, like).offset((number - 1) * PAGE).limit(PAGE)))
        .order_by(RecordRow.seq.desc())
    )
    count = select(func.count()).select_from(_ids(property, like).order_by(None).subquery())
    with desk.database.reading() as session:
        rows = [Live(*row) for row in session.execute(page)]
        return Shown(rows, number, session.scalar(count) or 0, like)


def waiting(session: Session, property: str, set_id: int | None = None) -> int:
    """How many assets publishing would sign a record for, of a set or of the property: counted
    up to :data:`MANY`, and one more where there are more."""
    mine, others = aliased(RecordRow), aliased(RecordRow)
    live = and_(mine.candidate_id == CandidateRow.id, mine.kind.in_(USED), mine.ended_at.is_(None))
    later = and_(
        others.asset_id == CandidateRow.asset_id,
        others.kind.in_(USED),
        others.ended_at.is_(None),
        # What was approved before another took its place stays behind it.
        or_(CandidateRow.decided_at.is_(None), CandidateRow.decided_at <= others.made_at),
    )
    query = (
        select(CandidateRow.asset_id)
        .distinct()
        .where(CandidateRow.property == property, CandidateRow.state == "approved")
        .where(~exists().where(live), ~exists().where(later))
    )
    if set_id is not None:
        of_set = select(PromptRow.candidate_id).where(PromptRow.set_id == set_id)
        query = query.where(CandidateRow.id.in_(of_set))
    some = query.limit(MANY + 1).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def _ids(property: str, like: str) -> Select[Any]:
    """Of the records in force, the newest first."""
    query = (
        select(RecordRow.id)
        .where(RecordRow.property == property, RecordRow.kind.in_(USED))
        .where(RecordRow.ended_at.is_(None))
        .order_by(RecordRow.seq.desc())
    )
    if not like:
        return query
    found = AssetRow.path.contains(like, autoescape=True)
    return query.join(AssetRow, AssetRow.id == RecordRow.asset_id).where(found)
