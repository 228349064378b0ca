"""The queue of candidates to judge: who waits, in which order, and what a person needs to know."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import InstrumentedAttribute

from kvsync.errors import BadRequest
from origin.console.desk import Desk, NotHere
from origin.console.tables import CommentRow, DecisionRow, PromptRow
from origin.qa import recipe_of
from origin.tables import AssetRow, CandidateRow, RecordRow, State

Order = Literal["doubt", "score", "colour", "path", "newest"]
PAGE = 60

_ORDERS: dict[Order, tuple[ColumnElement[Any], ...]] = {
    "doubt": (CandidateRow.doubt.desc(), CandidateRow.id.asc()),
    "score": (CandidateRow.ssimulacra2.asc(), CandidateRow.id.asc()),
    "colour": (CandidateRow.delta_e.desc(), CandidateRow.id.asc()),
    "path": (AssetRow.path.asc(), CandidateRow.id.asc()),
    "newest": (CandidateRow.id.desc(),),
}


@dataclass(frozen=True)
class Wanted:
    """Which candidates, in which order."""

    property: str
    state: State | Literal["any"] = "proposed"
    family: str = ""
    set_id: int | None = None
    order: Order = "doubt"

    def query(self) -> Select[Any]:
        """Of candidate ids."""
        query = (
            select(CandidateRow.id)
            .join(AssetRow, AssetRow.id == CandidateRow.asset_id)
            .where(AssetRow.property == self.property)
        )
        if self.state != "any":
            query = query.where(CandidateRow.state == self.state)
        if self.family:
            query = query.where(AssetRow.family == self.family)
        if self.set_id is not None:
            of_set = select(PromptRow.candidate_id).where(PromptRow.set_id == self.set_id)
            query = query.where(CandidateRow.id.in_(of_set))
        return query


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
    query = wanted.query()
    at = (max(1, number) - 1) * PAGE
    with desk.database.reading() as session:
        total = session.scalar(query.with_only_columns(func.count())) or 0
        ids = session.scalars(query.order_by(*_ORDERS[wanted.order]).offset(at).limit(PAGE)).all()
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


def view_of(desk: Desk, candidate_id: int, wanted: Wanted) -> View:
    candidate = find_candidate(desk, candidate_id)
    with desk.database.reading() as session:
        comments = session.scalars(
            select(CommentRow)
            .where(CommentRow.candidate_id == candidate_id)
            .order_by(CommentRow.id)
        ).all()
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
            session.scalars(_beside(candidate, wanted, forward)).one_or_none()
            for forward in (False, True)
        )
    return View(candidate, comments, decisions, seeds, bool(live), previous, following)


def _beside(candidate: CandidateRow, wanted: Wanted, forward: bool) -> Select[Any]:
    """The next one in the queue, or the one before, by the order's own columns."""
    worst_first = wanted.order in ("doubt", "colour", "newest")
    columns: dict[Order, tuple[InstrumentedAttribute[Any], Any]] = {
        "doubt": (CandidateRow.doubt, candidate.doubt),
        "score": (CandidateRow.ssimulacra2, candidate.ssimulacra2),
        "colour": (CandidateRow.delta_e, candidate.delta_e),
        "path": (AssetRow.path, candidate.asset.path),
        "newest": (CandidateRow.id, candidate.id),
    }
    column, value = columns[wanted.order]
    falling = worst_first == forward
    after = column < value if falling else column > value
    later_id = CandidateRow.id > candidate.id if forward else CandidateRow.id < candidate.id
    query = wanted.query().where(after | ((column == value) & later_id))
    by = column.desc() if falling else column.asc()
    return query.order_by(by, CandidateRow.id.asc() if forward else CandidateRow.id.desc()).limit(1)


def meaning(ssimulacra2: float) -> str:
    """The metric's authors' own words for a score."""
    for least, words in (
        (90, "cannot be told from the original, even side by side"),
        (85, "hard to tell apart, even in a flicker"),
        (80, "hard to tell apart side by side"),
        (70, "high quality: differences show when compared"),
        (50, "medium quality: slight differences are easy to see"),
    ):
        if ssimulacra2 >= least:
            return words
    return "low quality: differences are annoying"


def colour_meaning(delta_e: float) -> str:
    """CIEDE2000 in words: 1 is about a just noticeable difference."""
    for most, words in ((1.0, "not visible"), (2.0, "visible to a trained eye"), (3.5, "visible")):
        if delta_e <= most:
            return words
    return "another colour"


def one_line(candidate: CandidateRow) -> str:
    return recipe_of(candidate).one_line()
