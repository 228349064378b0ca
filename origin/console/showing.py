"""What shoppers are shown, and what is approved and waits to be."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, distinct, func, or_, select
from sqlalchemy.orm import Session

from origin.console.desk import Desk
from origin.console.tables import PromptRow
from origin.live import USED, used_records
from origin.tables import AssetRow, CandidateRow, RecordRow

PAGE = 60


@dataclass(frozen=True)
class Shown:
    """One page of the live assets whose path has ``like`` in it, the newest record first."""

    rows: Sequence[RecordRow]
    number: int
    total: int
    like: str = ""

    @property
    def last(self) -> int:
        return max(1, -(-self.total // PAGE))


def shown(desk: Desk, property: str, like: str = "", number: int = 1) -> Shown:
    """``number`` from 1; canaries are among them, as some region shows them."""
    number = max(1, number)
    wanted = _like(used_records(property), like)
    page = wanted.order_by(None).order_by(RecordRow.seq.desc())
    count = select(func.count()).select_from(_like(_used_ids(property), like).subquery())
    with desk.database.reading() as session:
        rows = session.scalars(page.offset((number - 1) * PAGE).limit(PAGE)).all()
        return Shown(rows, number, session.scalar(count) or 0, like)


def waiting(session: Session, property: str, set_id: int | None = None) -> int:
    """How many assets publishing would sign a record for: of a set, or of the property."""
    live = and_(
        RecordRow.asset_id == CandidateRow.asset_id,
        RecordRow.kind.in_(USED),
        RecordRow.ended_at.is_(None),
    )
    later = and_(
        RecordRow.candidate_id != CandidateRow.id, CandidateRow.decided_at > RecordRow.made_at
    )
    query = (
        select(func.count(distinct(CandidateRow.asset_id)))
        .outerjoin(RecordRow, live)
        .where(CandidateRow.property == property, CandidateRow.state == "approved")
        .where(or_(RecordRow.id.is_(None), later))
    )
    if set_id is not None:
        of_set = select(PromptRow.candidate_id).where(PromptRow.set_id == set_id)
        query = query.where(CandidateRow.id.in_(of_set))
    return session.scalar(query) or 0


def _used_ids(property: str) -> Select[Any]:
    return select(RecordRow.id).where(
        RecordRow.property == property, RecordRow.kind.in_(USED), RecordRow.ended_at.is_(None)
    )


def _like(query: Select[Any], like: str) -> Select[Any]:
    if not like:
        return query
    found = AssetRow.path.contains(like, autoescape=True)
    return query.where(RecordRow.asset_id.in_(select(AssetRow.id).where(found)))
