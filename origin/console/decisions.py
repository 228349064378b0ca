"""Decisions on candidates: one by one, undone, and in bulk after a drawn sample was looked at."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from kvsync.errors import InputError
from origin.console.accounts import Person
from origin.console.desk import Desk, NotHere
from origin.console.sets import find_set
from origin.console.tables import AccountRow, CommentRow, DecisionRow, PromptRow, SampleRow
from origin.live import USED
from origin.qa import REASONS, audit, decide_one
from origin.tables import CandidateRow, RecordRow

Verdict = Literal["approved", "rejected", "proposed"]
LEAST_SAMPLE = 5
MOST_COMMENT = 2_000


def decide(
    desk: Desk, candidate_id: int, verdict: Verdict, reason: str, person: Person
) -> CandidateRow:
    """Write down a person's verdict and what it was before.

    :class:`InputError` without a reason to reject, or for a record that is live: revoke it.
    """
    if verdict == "rejected" and not reason.strip():
        raise InputError(f"say why: {', '.join(REASONS)}")
    with desk.database.writing() as session:
        candidate = _find(session, candidate_id)
        if verdict != "approved":
            _demand_not_live(session, candidate)
        _decide(session, candidate, verdict, reason.strip()[:200], person)
    return candidate


def undo(desk: Desk, person: Person) -> CandidateRow:
    """Take back the person's own last decision that still stands; :class:`InputError` for none."""
    mine = (
        select(DecisionRow)
        .where(DecisionRow.account_id == person.account_id, DecisionRow.undone_at.is_(None))
        .order_by(DecisionRow.id.desc())
        .limit(1)
    )
    with desk.database.writing() as session:
        last = session.scalars(mine).one_or_none()
        if last is None:
            raise InputError("there is nothing to undo")
        candidate = last.candidate
        if candidate.state != last.state:
            raise InputError(f"{candidate.asset.path} was decided on again since")
        _demand_not_live(session, candidate)
        last.undone_at = int(time.time())
        before = last.before
        approver = bytes.fromhex(before["by"]) if before["by"] else None
        candidate.state, candidate.reason = before["state"], before["reason"]
        candidate.decided_by, candidate.decided_at = approver, before["at"]
        audit(session, person.name, "undo", candidate.asset.path, was=last.state)
    return candidate


def say(desk: Desk, candidate_id: int, text: str, person: Person) -> None:
    """A comment beside a candidate."""
    if not 1 <= len(text.strip()) <= MOST_COMMENT:
        raise InputError(f"a comment has 1 to {MOST_COMMENT} characters")
    with desk.database.writing() as session:
        candidate = _find(session, candidate_id)
        session.add(
            CommentRow(
                candidate_id=candidate_id,
                account_id=person.account_id,
                at=int(time.time()),
                text=text.strip(),
            )
        )
        audit(session, person.name, "comment", candidate.asset.path, text=text.strip()[:200])


@dataclass(frozen=True)
class Sample:
    """A drawn sample: which of it were looked at and how, and how many wait behind it."""

    row: SampleRow
    candidates: Sequence[CandidateRow]
    waiting: int

    @property
    def approved(self) -> int:
        return sum(one.state == "approved" for one in self.candidates)

    @property
    def rejected(self) -> int:
        return sum(one.state == "rejected" for one in self.candidates)

    @property
    def passed(self) -> bool:
        return self.approved == len(self.candidates)


def draw_sample(
    desk: Desk, set_id: int, least_score: float, most_delta_e: float, count: int, person: Person
) -> int:
    """Draw candidates of a set to look at before the others above a threshold are approved.

    The threshold is of SSIMULACRA2 and of the worst attribute's mean CIEDE2000.
    """
    if count < LEAST_SAMPLE:
        raise InputError(f"look at {LEAST_SAMPLE} at least")
    with desk.database.writing() as session:
        find_set(session, set_id)
        fit = session.scalars(_above(set_id, least_score, most_delta_e)).all()
        if not fit:
            raise InputError("no proposed candidate of this set is above that threshold")
        drawn = random.SystemRandom().sample(fit, min(count, len(fit)))
        row = SampleRow(
            set_id=set_id,
            account_id=person.account_id,
            at=int(time.time()),
            least_score=least_score,
            most_delta_e=most_delta_e,
            candidates=drawn,
            approved=[],
        )
        session.add(row)
        session.flush()
        audit(session, person.name, "sample", f"set {set_id}", sample=row.id, drawn=len(drawn))
    return row.id


def newest_sample(desk: Desk, set_id: int) -> Sample | None:
    """The set's sample that was drawn last."""
    query = select(SampleRow).where(SampleRow.set_id == set_id).order_by(SampleRow.id.desc())
    with desk.database.reading() as session:
        row = session.scalars(query.limit(1)).one_or_none()
        return None if row is None else _sample(session, row)


@dataclass(frozen=True)
class Evidence:
    """A sample that was used: who drew it when, of what, and how many were approved behind it."""

    by: str
    at: int
    closed_at: int
    least_score: float
    most_delta_e: float
    looked_at: Sequence[int]
    approved: int


def evidence_of(desk: Desk, set_id: int) -> list[Evidence]:
    """Of the set's bulk approvals, the newest first."""
    query = (
        select(
            AccountRow.name,
            SampleRow.at,
            SampleRow.closed_at,
            SampleRow.least_score,
            SampleRow.most_delta_e,
            SampleRow.candidates,
            func.json_array_length(SampleRow.approved),
        )
        .join(AccountRow, AccountRow.id == SampleRow.account_id)
        .where(SampleRow.set_id == set_id, SampleRow.closed_at.is_not(None))
        .order_by(SampleRow.id.desc())
    )
    with desk.database.reading() as session:
        return [Evidence(*row) for row in session.execute(query)]


def approve_rest(desk: Desk, sample_id: int, person: Person) -> int:
    """Approve all above the sample's threshold; how many.

    :class:`InputError` unless a person looked at every one of the sample and approved it.
    """
    with desk.database.writing() as session:
        row = session.get(SampleRow, sample_id)
        if row is None:
            raise NotHere(f"there is no sample {sample_id}")
        sample = _sample(session, row)
        if row.closed_at is not None:
            raise InputError("this sample was used already; draw another")
        if not sample.passed:
            left = len(sample.candidates) - sample.approved - sample.rejected
            raise InputError(
                f"of the sample {sample.rejected} were rejected and {left} not looked at: "
                "raise the threshold and draw again, or judge one by one"
            )
        _demand_one_by_one(session, row)
        behind = _above(row.set_id, row.least_score, row.most_delta_e)
        fit = session.scalars(select(CandidateRow).where(CandidateRow.id.in_(behind))).all()
        for candidate in fit:
            _decide(session, candidate, "approved", "", person, sample=sample_id)
        row.closed_at, row.approved = int(time.time()), [one.id for one in fit]
    return len(fit)


def _demand_one_by_one(session: Session, row: SampleRow) -> None:
    """:class:`InputError` where another sample's bulk approval took some of this one along."""
    since = select(SampleRow.approved).where(SampleRow.closed_at >= row.at)
    along = {one for some in session.scalars(since) for one in some}.intersection(row.candidates)
    if along:
        raise InputError(
            f"{len(along)} of this sample were approved behind another one, which nobody looked at "
            "one by one: draw again"
        )


def _sample(session: Session, row: SampleRow) -> Sample:
    found = session.scalars(select(CandidateRow).where(CandidateRow.id.in_(row.candidates))).all()
    behind = _above(row.set_id, row.least_score, row.most_delta_e).where(
        CandidateRow.id.not_in(row.candidates)
    )
    waiting = session.scalar(select(func.count()).select_from(behind.subquery())) or 0
    return Sample(row, sorted(found, key=lambda one: row.candidates.index(one.id)), waiting)


def _above(set_id: int, least_score: float, most_delta_e: float) -> Select[int]:
    """Ids of what is proposed of a set and as good as that."""
    of_set = select(PromptRow.candidate_id).where(PromptRow.set_id == set_id)
    return (
        select(CandidateRow.id)
        .where(CandidateRow.id.in_(of_set), CandidateRow.state == "proposed")
        .where(CandidateRow.ssimulacra2 >= least_score)
        .where(CandidateRow.worst_delta_e <= most_delta_e)
        .order_by(CandidateRow.id)
    )


def _find(session: Session, candidate_id: int) -> CandidateRow:
    found = session.get(CandidateRow, candidate_id)
    if found is None:
        raise NotHere(f"there is no candidate {candidate_id}")
    return found


def _decide(
    session: Session,
    candidate: CandidateRow,
    verdict: Verdict,
    reason: str,
    person: Person,
    **detail: Any,
) -> None:
    before = {
        "state": candidate.state,
        "reason": candidate.reason,
        "by": candidate.decided_by.hex() if candidate.decided_by else "",
        "at": candidate.decided_at,
    }
    decide_one(candidate, verdict, person.approver_id, reason, int(time.time()))
    session.add(
        DecisionRow(
            candidate_id=candidate.id,
            account_id=person.account_id,
            at=int(time.time()),
            state=verdict,
            before=before,
        )
    )
    audit(
        session,
        person.name,
        {"approved": "approve", "rejected": "reject", "proposed": "reopen"}[verdict],
        candidate.asset.path,
        **{"from": before["state"], "to": verdict, "candidate": candidate.id},
        **({"reason": reason} if reason else {}),
        **detail,
    )


def _demand_not_live(session: Session, candidate: CandidateRow) -> None:
    live = select(func.count()).where(
        RecordRow.candidate_id == candidate.id,
        RecordRow.kind.in_(USED),
        RecordRow.ended_at.is_(None),
    )
    if session.scalar(live):
        raise InputError(f"{candidate.asset.path} is live: revoke it instead")
