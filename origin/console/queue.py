"""The queue of candidates to judge: who waits, in which order, and what a person needs to know."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Select, func, literal, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from kvsync.errors import BadRequest
from origin.console.desk import Desk, NotHere
from origin.console.tables import CommentRow, CountRow, DecisionRow, PromptRow, PromptSetRow
from origin.qa import recipe_of
from origin.tables import CandidateRow, RecordRow, State

Order = Literal["doubt", "score", "colour", "path", "newest"]
PAGE = 60

# By what, and whether the largest comes first.
_ORDERS: dict[Order, tuple[InstrumentedAttribute[Any], bool]] = {
    "doubt": (CandidateRow.doubt, True),
    "score": (CandidateRow.ssimulacra2, False),
    "colour": (CandidateRow.worst_delta_e, True),
    "path": (CandidateRow.path, False),
    "newest": (CandidateRow.id, True),
}


@dataclass(frozen=True)
class Wanted:
    """Which candidates, in which order."""

    property: str
    state: State | Literal["any"] = "proposed"
    family: str = ""
    set_id: int | None = None
    order: Order = "doubt"

    def count(self) -> Select[Any]:
        if self.set_id is not None:
            return self._where(select(func.count()).select_from(CandidateRow), self._of_property())
        # The database counts along: :class:`CountRow`.
        query = select(func.sum(CountRow.candidates)).where(CountRow.property == self.property)
        if self.state != "any":
            query = query.where(CountRow.state == self.state)
        return query.where(CountRow.family == self.family) if self.family else query

    def ordered(self, *, backwards: bool = False) -> Select[Any]:
        """Ids from the first to the last, or from the last to the first."""
        column, falling = _ORDERS[self.order]
        query = self._where(select(CandidateRow.id), self._of_property())
        if falling is not backwards:
            return query.order_by(column.desc(), CandidateRow.id.desc())
        return query.order_by(column.asc(), CandidateRow.id.asc())

    def beside(self, candidate: CandidateRow, forward: bool) -> Select[Any]:
        """The one after a candidate, or the one before: a step in an index, however long it is."""
        column, falling = _ORDERS[self.order]
        value = getattr(candidate, column.key)
        place, here = tuple_(column, CandidateRow.id), tuple_(literal(value), candidate.id)
        beyond = place < here if falling is forward else place > here
        return self.ordered(backwards=not forward).where(beyond).limit(1)

    def _where(self, query: Select[Any], of_property: ColumnElement[bool]) -> Select[Any]:
        query = query.where(of_property)
        if self.state != "any":
            query = query.where(CandidateRow.state == self.state)
        return query.where(CandidateRow.family == self.family) if self.family else query

    def _of_property(self) -> ColumnElement[bool]:
        """By what is fewer: a set's rows, or the candidates of the property."""
        if self.set_id is not None:
            of_set = (
                select(PromptRow.candidate_id)
                .join(PromptSetRow, PromptSetRow.id == PromptRow.set_id)
                .where(PromptSetRow.id == self.set_id, PromptSetRow.property == self.property)
            )
            return CandidateRow.id.in_(of_set)
        return CandidateRow.property == self.property


def read_wanted(property: str, state: str, family: str, set_id: int | None, order: str) -> Wanted:
    """:class:`BadRequest` for a state or an order that there is not."""
    for one in (*get_args(State), "any"):
        if one == state:
            for by in get_args(Order):
                if by == order:
                    return Wanted(property, one, family, set_id, by)
            raise BadRequest(f"no order {order[:20]!r}; there is {', '.join(get_args(Order))}")
    raise BadRequest(f"no state {state[:20]!r}; there is {', '.join(get_args(State))} and any")


@dataclass(frozen=True)
class Page:
    rows: Sequence[CandidateRow]
    number: int
    total: int

    @property
    def last(self) -> int:
        return max(1, -(-self.total // PAGE))


def page_of(desk: Desk, wanted: Wanted, number: int) -> Page:
    """One page of candidates with their assets, ``number`` from 1."""
    at = (max(1, number) - 1) * PAGE
    with desk.database.reading() as session:
        total = session.scalar(wanted.count()) or 0
        ids = session.scalars(wanted.ordered().offset(at).limit(PAGE)).all()
        found = session.scalars(select(CandidateRow).where(CandidateRow.id.in_(ids))).all()
    by_id = {one.id: one for one in found}
    return Page([by_id[one] for one in ids], max(1, number), total)


@dataclass(frozen=True)
class View:
    """One candidate, what was said of it, its other seeds, and its neighbours in the queue."""

    candidate: CandidateRow
    comments: Sequence[CommentRow]
    decisions: Sequence[DecisionRow]
    seeds: Sequence[CandidateRow]
    live: bool
    previous: int | None
    following: int | None


def find_candidate(desk: Desk, candidate_id: int) -> CandidateRow:
    with desk.database.reading() as session:
        found = session.get(CandidateRow, candidate_id)
    if found is None:
        raise NotHere(f"there is no candidate {candidate_id}")
    return found


def comments_of(session: Session, candidate_id: int) -> Sequence[CommentRow]:
    """What was said of a candidate, the oldest first."""
    query = select(CommentRow).where(CommentRow.candidate_id == candidate_id)
    return session.scalars(query.order_by(CommentRow.id)).all()


def view_of(desk: Desk, candidate_id: int, wanted: Wanted) -> View:
    candidate = find_candidate(desk, candidate_id)
    with desk.database.reading() as session:
        comments = comments_of(session, candidate_id)
        decisions = session.scalars(
            select(DecisionRow)
            .where(DecisionRow.candidate_id == candidate_id)
            .order_by(DecisionRow.id.desc())
        ).all()
        others = (
            select(CandidateRow)
            .where(CandidateRow.asset_id == candidate.asset_id)
            .where(CandidateRow.original == candidate.original)
            .order_by(CandidateRow.ssimulacra2.desc())
            .limit(12)
        )
        seeds = session.scalars(others).all()
        live = session.scalar(
            select(func.count())
            .select_from(RecordRow)
            .where(RecordRow.candidate_id == candidate_id, RecordRow.kind == "record")
            .where(RecordRow.ended_at.is_(None))
        )
        previous, following = (
            session.scalars(wanted.beside(candidate, forward)).one_or_none()
            for forward in (False, True)
        )
    return View(candidate, comments, decisions, seeds, bool(live), previous, following)


def size_of(candidate: CandidateRow) -> tuple[int, int]:
    """Width and height in pixels."""
    recipe = recipe_of(candidate)
    return recipe.width, recipe.height


def one_line(candidate: CandidateRow) -> str:
    return recipe_of(candidate).one_line()
