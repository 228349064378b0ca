"""What shoppers see: publish, look at it, take it back, and what the regions say."""

from typing import Annotated

from fastapi import APIRouter, Body, Query
from pydantic import Field

from origin.console import publishing
from origin.console.access import Asking
from origin.console.api.forms import (
    Id,
    Json,
    Number,
    Revoke,
    change_json,
    live_json,
    publication_json,
)
from origin.console.confirming import change, counts_since
from origin.console.desk import Desk
from origin.console.publishing import Outcome
from origin.console.showing import shown, waiting

Seq = Annotated[int, Field(ge=1, le=2**53)]


def add_live(router: APIRouter, desk: Desk) -> None:
    @router.get("/properties/{property}/live")
    def api_live(
        property: str, like: Annotated[str, Query(max_length=200)] = "", page: Number = 1
    ) -> Json:
        """A page of the assets whose records are in force, and how many wait to be published."""
        desk.site(property)
        found = shown(desk, property, like, page)
        with desk.database.reading() as session:
            wait = waiting(session, property)
        records = [live_json(row) for row in found.rows]
        counts = {"page": page, "pages": found.last, "total": found.total, "waiting": wait}
        return {**counts, "records": records}

    @router.get("/properties/{property}/changes/{seq}")
    def api_change(property: str, seq: Seq) -> Json:
        """What each region says of an entry of the log, and until when one may lag behind."""
        return change_json(change(desk, property, seq))

    @router.post("/properties/{property}/publish")
    def api_publish(
        property: str,
        person: Asking,
        set_id: Annotated[int | None, Body(embed=True, ge=1, le=2**31 - 1)] = None,
        region: Annotated[str, Body(embed=True, max_length=40)] = "",
    ) -> Json:
        """Sign records for what is approved, of one set or of the whole property, for every region
        or for one first."""
        return _outcome(publishing.publish(desk, property, set_id, person, region))

    @router.post("/properties/{property}/revoke")
    def api_revoke(property: str, asked: Revoke, person: Asking) -> Json:
        """Take records back."""
        done = publishing.revoke(desk, property, asked.path, asked.family, asked.reason, person)
        return {"revoked": done.now, "before": done.before, "seq": done.seq}

    _add_publications(router, desk)


def _add_publications(router: APIRouter, desk: Desk) -> None:
    @router.get("/properties/{property}/publications")
    def api_publications(property: str) -> list[Json]:
        """What went live when, the newest first."""
        desk.site(property)
        return [publication_json(row) for row in publishing.publications(desk, property)]

    @router.get("/publications/{number}/counts")
    def api_counts(number: Id) -> list[Json]:
        """What shoppers of each region were answered since a publication, by the ledger: of all
        answers, those whose picture was not the approved one (drift), and other faults."""
        found = counts_since(desk, publishing.find_publication(desk, number))
        return [
            {"region": one.region, "answers": one.answers, "drift": one.drift, "errors": one.errors}
            for one in found
        ]

    @router.post("/publications/{number}/everywhere")
    def api_go_everywhere(number: Id, person: Asking) -> Json:
        """Put a canary into force in every region, just as it was tried."""
        return _outcome(publishing.go_everywhere(desk, number, person))

    @router.post("/publications/{number}/roll-back")
    def api_roll_back(number: Id, person: Asking) -> Json:
        """Go back to what was live before a publication."""
        returned, gone, seq = publishing.roll_back(desk, number, person)
        return {"returned": returned, "revoked": gone, "seq": seq}


def _outcome(outcome: Outcome) -> Json:
    done = outcome.published
    return {
        "publication": outcome.number,
        "signed": done.signed,
        "already": done.already,
        "refused": done.refused,
        "seq": outcome.seq,
    }
