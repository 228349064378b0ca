"""The same over HTTP for programs, with a token: JSON in and out, errors as problem+json."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, Field

from kvsync.errors import InputError
from origin.console import publishing
from origin.console.access import Asking
from origin.console.decisions import decide
from origin.console.desk import Desk
from origin.console.jobs import MOST_SEEDS, Jobs, Step
from origin.console.overview import overview, sets_of
from origin.console.pages.audit import as_json, entries
from origin.console.prompt_sets.reading import MAX_BYTES
from origin.console.queue import find_candidate, one_line, page_of, read_wanted
from origin.console.sets import Preview, lines_of_file, preview, take_in
from origin.console.tables import JobRow
from origin.tables import CandidateRow

SHOWN = 1_000


class Upload(BaseModel):
    """A prompt set as text: CSV, JSON lines, or one recipe a line, told by the name's ending."""

    name: str = Field("pasted text", max_length=120)
    text: str = Field(max_length=MAX_BYTES)


class Generate(BaseModel):
    seeds: int = Field(8, ge=1, le=MOST_SEEDS)
    least_score: float = Field(80.0, ge=0, le=100)


class Verdict(BaseModel):
    verdict: Literal["approved", "rejected", "proposed"]
    reason: str = Field("", max_length=200)


class Revoke(BaseModel):
    """One of ``path`` (or pattern) and ``family``."""

    path: str = Field("", max_length=1_000)
    family: str = Field("", max_length=40)
    reason: str = Field(max_length=500)


Json = dict[str, Any]
Id = Annotated[int, Field(ge=1, le=2**31 - 1)]


def routes(desk: Desk, jobs: Jobs) -> APIRouter:
    router = APIRouter(prefix="/api/v1", responses=_PROBLEMS)
    _add_sets(router, desk, jobs)
    _add_candidates(router, desk)
    _add_live(router, desk)
    return router


_PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"description": what, "content": {"application/problem+json": {}}}
    for code, what in (
        (401, "Not logged in"),
        (403, "Not allowed"),
        (404, "Not here"),
        (422, "Cannot be done as asked"),
    )
}


def _add_sets(router: APIRouter, desk: Desk, jobs: Jobs) -> None:
    @router.get("/properties")
    def api_properties() -> list[Json]:
        """Properties with their families and how far each has come."""
        return [
            {
                "id": one.id,
                "hosts": one.hosts,
                "families": [
                    {
                        "name": family.name,
                        "model": family.model.digest.hex() if family.model else None,
                        "assets": family.assets,
                        "bytes": family.bytes,
                        "candidates": family.states,
                        "live": family.live,
                    }
                    for family in one.families
                ],
            }
            for one in (overview(desk, name) for name in desk.sites)
        ]

    @router.get("/properties/{property}/sets")
    def api_sets(property: str) -> list[Json]:
        """The property's prompt sets, the newest first."""
        desk.site(property)
        return [
            {"id": row.id, "name": row.name, "family": row.family, "rows": rows}
            for row, rows in sets_of(desk, property)
        ]

    @router.post("/properties/{property}/families/{family}/preview")
    def api_preview(property: str, family: str, upload: Upload) -> Json:
        """What of a prompt set would go in; nothing is written."""
        desk.site(property)
        return _previewed(_preview(desk, property, family, upload))

    @router.post("/properties/{property}/families/{family}/sets", status_code=201)
    def api_import(property: str, family: str, upload: Upload, person: Asking) -> Json:
        """Take the good rows of a prompt set in; the others come back with their reasons."""
        desk.site(property)
        found = _preview(desk, property, family, upload)
        number = take_in(desk, property, family, upload.name, found.good, person)
        return {"id": number, **_previewed(found)}

    @router.post("/sets/{set_id}/jobs", status_code=201)
    def api_generate(set_id: Id, asked: Generate, person: Asking) -> Json:
        """Make candidates for every row of a set that has none."""
        return _job(jobs.find(jobs.start(set_id, asked.seeds, asked.least_score, person)))

    @router.get("/jobs/{job_id}")
    def api_job(job_id: Id) -> Json:
        """How far a job is."""
        return _job(jobs.find(job_id))

    @router.post("/jobs/{job_id}/{step}")
    def api_steer_job(job_id: Id, step: Step, person: Asking) -> Json:
        """Pause, resume or cancel a job."""
        return _job(jobs.steer(job_id, step, person))


def _add_candidates(router: APIRouter, desk: Desk) -> None:
    @router.get("/properties/{property}/candidates")
    def api_candidates(
        property: str,
        state: str = "proposed",
        family: str = "",
        set_id: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
        order: str = "doubt",
        page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    ) -> Json:
        """A page of the queue, the most doubtful first."""
        desk.site(property)
        found = page_of(desk, read_wanted(property, state, family, set_id, order), page)
        rows = [_candidate(row) for row in found.rows]
        return {"page": page, "pages": found.last, "total": found.total, "candidates": rows}

    @router.get("/candidates/{candidate_id}")
    def api_candidate(candidate_id: Id) -> Json:
        """One candidate: its recipe, its figures, and what was decided."""
        return _candidate(find_candidate(desk, candidate_id))

    @router.post("/candidates/{candidate_id}/decision")
    def api_decide(candidate_id: Id, said: Verdict, person: Asking) -> Json:
        """Approve, reject with a reason, or reopen."""
        return _candidate(decide(desk, candidate_id, said.verdict, said.reason, person))


def _add_live(router: APIRouter, desk: Desk) -> None:
    @router.post("/properties/{property}/publish")
    def api_publish(
        property: str,
        person: Asking,
        set_id: Annotated[int | None, Body(embed=True, ge=1, le=2**31 - 1)] = None,
        region: Annotated[str, Body(embed=True, max_length=40)] = "",
    ) -> Json:
        """Sign records for what is approved, of one set or of the whole property, for every region
        or for one first."""
        outcome = publishing.publish(desk, property, set_id, person, region)
        done = outcome.published
        return {
            "publication": outcome.number,
            "signed": done.signed,
            "already": done.already,
            "refused": done.refused,
        }

    @router.post("/properties/{property}/revoke")
    def api_revoke(property: str, asked: Revoke, person: Asking) -> Json:
        """Take records back."""
        done = publishing.revoke(desk, property, asked.path, asked.family, asked.reason, person)
        return {"revoked": done.now, "before": done.before}

    @router.get("/audit")
    def api_audit(
        who: str = "",
        what: str = "",
        subject: str = "",
        before: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    ) -> list[Json]:
        """The newest entries of the audit first."""
        return [as_json(row) for row in entries(desk, who, what, subject, before, SHOWN)]


def _preview(desk: Desk, property: str, family: str, upload: Upload) -> Preview:
    try:
        data = upload.text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{upload.name}: not text: {error.reason}") from error
    return preview(desk, property, family, lines_of_file(data, upload.name))


def _previewed(found: Preview) -> Json:
    wrong = [{"line": one.number, "text": one.text, "why": one.why} for one in found.wrong]
    counts = {verdict: found.count(verdict) for verdict in ("new", "changed", "known")}
    return {**counts, "wrong": len(wrong), "wrong_rows": wrong[:SHOWN]}


def _job(row: JobRow) -> Json:
    return {
        "id": row.id,
        "set": row.set_id,
        "state": row.state,
        "total": row.total,
        "done": row.done,
        "failed": row.failed,
        "note": row.note,
    }


def _candidate(row: CandidateRow) -> Json:
    return {
        "id": row.id,
        "path": row.asset.path,
        "family": row.asset.family,
        "attributes": row.asset.attributes,
        "recipe": one_line(row),
        "state": row.state,
        "reason": row.reason,
        "ssimulacra2": row.ssimulacra2,
        "delta_e": row.delta_e,
        "region_delta_e": row.region_delta_e,
        "psnr": row.psnr if row.psnr < 1_000 else None,
        "decided_by": row.approver.name if row.approver else None,
        "decided_at": row.decided_at,
    }
