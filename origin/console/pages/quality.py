"""Quality: the queue, one candidate beside its original, and what a person decides."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from kvsync.errors import BadRequest
from origin.console.access import Asking
from origin.console.decisions import (
    Verdict,
    approve_rest,
    decide,
    draw_sample,
    say,
    undo,
)
from origin.console.desk import Desk
from origin.console.drawing import Drawing
from origin.console.pictures import KINDS, Kind
from origin.console.queue import Wanted, find_candidate, page_of, read_wanted, view_of
from origin.console.rendering import go, page
from origin.console.showing import waiting
from origin.console.tables import SampleRow
from origin.inventory import read_original
from origin.ledger.own_work import tell_spent
from origin.qa import REASONS, recipe_of
from origin.tables import CandidateRow

# A candidate's pictures never change: its recipe is part of what they are.
_FOREVER = {"cache-control": "private, max-age=31536000, immutable"}
# The query of the queue that a person walks, so that the walk goes on after a write.
Query = Annotated[str, Form(max_length=300, pattern=r"^[\w.%&=+-]*$")]


def routes(desk: Desk, drawing: Drawing) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    _add_looking(router, desk)
    _add_pictures(router, desk, drawing)
    _add_deciding(router, desk)
    return router


def _add_looking(router: APIRouter, desk: Desk) -> None:
    @router.get("/p/{property}/queue")
    def queue_page(
        request: Request,
        property: str,
        state: str = "proposed",
        family: str = "",
        set: int | None = None,
        order: str = "doubt",
        number: int = 1,
    ) -> Response:
        desk.site(property)
        wanted = read_wanted(property, state, family, set, order)
        found = page_of(desk, wanted, number)
        with desk.database.reading() as session:
            to_publish = 0 if found.rows else waiting(session, property, set)
        return page(
            request,
            "queue.html",
            property=property,
            wanted=wanted,
            asked=_asked(wanted),
            found=found,
            to_publish=to_publish,
            families=desk.families(property),
        )

    @router.get("/candidates/{candidate_id}")
    def candidate_page(
        request: Request,
        candidate_id: int,
        state: str = "proposed",
        family: str = "",
        set: int | None = None,
        order: str = "doubt",
    ) -> Response:
        property = find_candidate(desk, candidate_id).asset.property
        wanted = read_wanted(property, state, family, set, order)
        return page(
            request,
            "candidate.html",
            view=view_of(desk, candidate_id, wanted),
            property=property,
            wanted=wanted,
            asked=_asked(wanted),
            reasons=REASONS,
        )


def _add_pictures(router: APIRouter, desk: Desk, drawing: Drawing) -> None:
    @router.get("/candidates/{candidate_id}/{kind}.webp")
    def picture(candidate_id: int, kind: str) -> Response:
        row = find_candidate(desk, candidate_id)
        site = desk.site(row.asset.property)
        folder = desk.models.folder_of(row.model)
        data = drawing.draw(
            _kind(kind),
            folder,
            recipe_of(row),
            lambda: read_original(site, row.asset.path)[1],
            partial(tell_spent, desk.database, row.asset.property, row.asset.family),
        )
        return Response(data, media_type="image/webp", headers=_FOREVER)


def _add_deciding(router: APIRouter, desk: Desk) -> None:
    @router.post("/candidates/{candidate_id}/decide", name="decide")
    def decide_on(
        candidate_id: int,
        person: Asking,
        verdict: Annotated[Verdict, Form()],
        reason: Annotated[str, Form(max_length=200)] = "",
        onward: Annotated[str, Form(max_length=500)] = "",
        asked: Query = "",
    ) -> Response:
        row = decide(desk, candidate_id, verdict, reason, person)
        queue = f"/p/{row.asset.property}/queue?{asked}"
        where = onward if onward.startswith("/candidates/") else queue
        return go(where, f"{_name(row)} is {verdict}.")

    @router.post("/undo", name="undo")
    def take_back(person: Asking, asked: Query = "") -> Response:
        row = undo(desk, person)
        return go(f"/candidates/{row.id}?{asked}", f"{_name(row)} is {row.state} again.")

    @router.post("/candidates/{candidate_id}/comments")
    def comment(
        candidate_id: int, person: Asking, text: Annotated[str, Form()], asked: Query = ""
    ) -> Response:
        say(desk, candidate_id, text, person)
        return go(f"/candidates/{candidate_id}?{asked}", "Said.")

    @router.post("/sets/{set_id}/sample", name="draw_sample")
    def draw(
        set_id: int,
        person: Asking,
        least_score: Annotated[float, Form()] = 85.0,
        most_delta_e: Annotated[float, Form()] = 2.5,
        count: Annotated[int, Form()] = 10,
    ) -> Response:
        draw_sample(desk, set_id, least_score, most_delta_e, count, person)
        return go(f"/sets/{set_id}", "Look at each of the sample, then approve the rest.")

    @router.post("/samples/{sample_id}/approve", name="approve_rest")
    def approve_behind(sample_id: int, person: Asking) -> Response:
        count = approve_rest(desk, sample_id, person)
        with desk.database.reading() as session:
            set_id = session.get_one(SampleRow, sample_id).set_id
        return go(f"/sets/{set_id}", f"{count} approved.")


def _name(row: CandidateRow) -> str:
    return row.asset.path.rpartition("/")[2]


def _kind(name: str) -> Kind:
    for kind in KINDS:
        if kind == name:
            return kind
    raise BadRequest(f"no picture {name[:20]!r}; there is {', '.join(KINDS)}")


def _asked(wanted: Wanted) -> dict[str, object]:
    """The queue's own query, for links that stay in it."""
    return {
        "state": wanted.state,
        "family": wanted.family,
        "set": wanted.set_id,
        "order": wanted.order,
    }
