"""The same as the pages over HTTP for programs, with a token: JSON in and out, problem+json."""

from typing import Annotated

from fastapi import APIRouter, Query

from origin.console.api.candidates import add_candidates
from origin.console.api.forms import PROBLEMS, Json
from origin.console.api.live import add_live
from origin.console.api.properties import add_properties
from origin.console.api.sets import add_sets
from origin.console.desk import Desk
from origin.console.jobs import Jobs
from origin.console.pages.audit import as_json, entries

_ENTRIES = 200


def routes(desk: Desk, jobs: Jobs) -> APIRouter:
    router = APIRouter(prefix="/api/v1", responses=PROBLEMS)
    add_properties(router, desk)
    add_sets(router, desk, jobs)
    add_candidates(router, desk)
    add_live(router, desk)
    _add_audit(router, desk)
    return router


def _add_audit(router: APIRouter, desk: Desk) -> None:
    @router.get("/audit")
    def api_audit(
        who: str = "",
        what: str = "",
        subject: str = "",
        before: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
        most: Annotated[int, Query(ge=1, le=1_000)] = _ENTRIES,
    ) -> list[Json]:
        """The newest entries of the audit first; ``before`` one's number come those older."""
        return [as_json(row) for row in entries(desk, who, what, subject, before, most)]
