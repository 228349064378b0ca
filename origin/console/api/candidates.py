"""Candidates: the queue, decisions and what was said."""

from typing import Annotated

from fastapi import APIRouter, Query

from origin.console.access import Asking
from origin.console.api.forms import (
    Comment,
    Id,
    Json,
    Number,
    Verdict,
    candidate_json,
    comment_json,
)
from origin.console.decisions import decide, say, undo
from origin.console.desk import Desk
from origin.console.queue import comments_of, find_candidate, page_of, read_wanted


def add_candidates(router: APIRouter, desk: Desk) -> None:
    @router.get("/properties/{property}/candidates")
    def api_candidates(
        property: str,
        state: str = "proposed",
        family: str = "",
        set_id: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
        order: str = "doubt",
        page: Number = 1,
    ) -> Json:
        """A page of the queue, the most doubtful first."""
        desk.site(property)
        found = page_of(desk, read_wanted(property, state, family, set_id, order), page)
        rows = [candidate_json(row) for row in found.rows]
        return {"page": page, "pages": found.last, "total": found.total, "candidates": rows}

    @router.get("/candidates/{candidate_id}")
    def api_candidate(candidate_id: Id) -> Json:
        """One candidate: its recipe, its figures, and what was decided."""
        return candidate_json(find_candidate(desk, candidate_id))

    @router.post("/candidates/{candidate_id}/decision")
    def api_decide(candidate_id: Id, said: Verdict, person: Asking) -> Json:
        """Approve, reject with a reason, or reopen."""
        return candidate_json(decide(desk, candidate_id, said.verdict, said.reason, person))

    @router.post("/undo")
    def api_undo(person: Asking) -> Json:
        """Take back your own last decision that still stands."""
        return candidate_json(undo(desk, person))

    @router.get("/candidates/{candidate_id}/comments")
    def api_comments(candidate_id: Id) -> list[Json]:
        """What was said of a candidate, the oldest first."""
        find_candidate(desk, candidate_id)
        with desk.database.reading() as session:
            return [comment_json(row) for row in comments_of(session, candidate_id)]

    @router.post("/candidates/{candidate_id}/comments", status_code=201)
    def api_comment(candidate_id: Id, said: Comment, person: Asking) -> list[Json]:
        """Say something of a candidate."""
        say(desk, candidate_id, said.text, person)
        return api_comments(candidate_id)
