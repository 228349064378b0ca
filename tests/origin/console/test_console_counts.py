"""What the database counts of candidates is what there is, whoever writes."""

from collections import Counter

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from origin.console.coverage import BINS, FROM_SCORE, coverage, spread
from origin.console.desk import Desk
from origin.console.sets import states_of
from origin.console.tables import PromptRow
from origin.tables import CandidateRow


def agrees(session: Session) -> bool:
    rows = session.query(CandidateRow).all()
    states = Counter(row.state for row in rows)
    scores = [row.ssimulacra2 for row in rows if row.state in ("approved", "proposed")]
    bins = Counter(min(max(int(one), FROM_SCORE), FROM_SCORE + BINS - 1) for one in scores)
    found = coverage(session, "rumba").states.get("rumba", {})
    spreads = spread(session, "rumba", "rumba")
    return dict(states) == found and spreads == tuple(
        bins.get(FROM_SCORE + at, 0) for at in range(BINS)
    )


def test_counts_follow_every_write(drawn: Desk) -> None:
    with drawn.database.writing() as session:
        assert session.query(CandidateRow).count() >= 3 and agrees(session)
        one = session.query(CandidateRow).filter_by(state="proposed").first()
        assert one is not None
        one.state, one.ssimulacra2 = "approved", 99.7
        session.flush()
        assert agrees(session)
        session.execute(update(CandidateRow).values(state="rejected", ssimulacra2=12.5))
        assert agrees(session) and sum(spread(session, "rumba", "rumba")) == 0
        session.execute(update(CandidateRow).values(state="proposed", ssimulacra2=80.999))
        assert agrees(session) and spread(session, "rumba", "rumba")[0] >= 3
        session.rollback()


def test_a_sets_prompts_are_counted_by_what_became_of_them(drawn: Desk) -> None:
    def agree(session: Session) -> bool:
        state = func.coalesce(CandidateRow.state, PromptRow.state)
        joined = select(state, func.count()).select_from(PromptRow).outerjoin(CandidateRow)
        rows = session.execute(joined.where(PromptRow.set_id == 1).group_by(state))
        return states_of(session, 1) == {name: count for name, count in rows}

    with drawn.database.writing() as session:
        assert agree(session) and sum(states_of(session, 1).values()) == 3
        session.execute(update(CandidateRow).values(state="approved"))
        assert agree(session) and states_of(session, 1) == {"approved": 3}
        one = session.query(PromptRow).first()
        assert one is not None
        one.candidate_id, one.state = None, "failed"
        session.flush()
        assert agree(session) and states_of(session, 1) == {"approved": 2, "failed": 1}
        session.execute(delete(PromptRow).where(PromptRow.id == one.id))
        assert agree(session) and states_of(session, 1) == {"approved": 2}
        session.rollback()


def test_what_is_gone_is_counted_no_more(drawn: Desk) -> None:
    with drawn.database.writing() as session:
        spare = session.query(CandidateRow).filter_by(state="spare").first()
        if spare is None:
            spare = session.query(CandidateRow).first()
        assert spare is not None
        session.connection().exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        session.execute(delete(CandidateRow).where(CandidateRow.id == spare.id))
        assert agrees(session)
        session.rollback()
