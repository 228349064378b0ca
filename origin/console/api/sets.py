"""Prompt sets, their jobs, and approving many of them after a sample."""

from typing import Any

from fastapi import APIRouter

from kvsync.errors import InputError
from origin.console.access import Asking
from origin.console.api.forms import (
    Draw,
    Generate,
    Id,
    Json,
    Upload,
    evidence_json,
    job_json,
    previewed,
    sample_json,
)
from origin.console.decisions import approve_rest, draw_sample, evidence_of, newest_sample
from origin.console.desk import Desk, NotHere
from origin.console.gathering import gather
from origin.console.jobs import Jobs, Step
from origin.console.overview import sets_of
from origin.console.sets import (
    Preview,
    find_set,
    lines_of_file,
    preview,
    states_of,
    take_in,
    words_of,
)


def add_sets(router: APIRouter, desk: Desk, jobs: Jobs) -> None:
    @router.get("/properties/{property}/sets")
    def api_sets(property: str) -> list[Json]:
        """The property's prompt sets, the newest first."""
        desk.site(property)
        return [
            {"id": row.id, "name": row.name, "family": row.family, "rows": rows}
            for row, rows in sets_of(desk, property)
        ]

    @router.get("/sets/{set_id}")
    def api_set(set_id: Id) -> Json:
        """A set: how many of its rows wait, failed, or have a candidate in which state."""
        with desk.database.reading() as session:
            row = find_set(session, set_id)
            states = states_of(session, set_id)
        made = {"id": row.id, "name": row.name, "family": row.family, "by": row.made_by}
        return {**made, "at": row.made_at, "model": row.model.hex(), "states": states}

    @router.get("/properties/{property}/families/{family}/words")
    def api_words(property: str, family: str) -> dict[str, Any]:
        """Each attribute's values that the family's model knows."""
        desk.site(property)
        return dict(words_of(desk, property, family))

    @router.post("/properties/{property}/families/{family}/preview")
    def api_preview(property: str, family: str, upload: Upload) -> Json:
        """What of a prompt set would go in; nothing is written."""
        desk.site(property)
        return previewed(_preview(desk, property, family, upload))

    @router.post("/properties/{property}/families/{family}/sets", status_code=201)
    def api_import(property: str, family: str, upload: Upload, person: Asking) -> Json:
        """Take the good rows of a prompt set in; the others come back with their reasons."""
        desk.site(property)
        found = _preview(desk, property, family, upload)
        number = take_in(desk, property, family, upload.name, found.good, person)
        return {"id": number, **previewed(found)}

    @router.post("/properties/{property}/families/{family}/gather", status_code=201)
    def api_gather(property: str, family: str, person: Asking) -> Json:
        """Make a set of what is proposed of a family and is in none."""
        desk.site(property)
        return {"id": gather(desk, property, family, person)}

    _add_jobs(router, jobs)
    _add_samples(router, desk)


def _add_jobs(router: APIRouter, jobs: Jobs) -> None:
    @router.post("/sets/{set_id}/jobs", status_code=201)
    def api_generate(set_id: Id, asked: Generate, person: Asking) -> Json:
        """Make candidates for every row of a set that has none."""
        return job_json(jobs.find(jobs.start(set_id, asked.seeds, asked.least_score, person)))

    @router.get("/jobs/{job_id}")
    def api_job(job_id: Id) -> Json:
        """How far a job is."""
        return job_json(jobs.find(job_id))

    @router.post("/jobs/{job_id}/{step}")
    def api_steer_job(job_id: Id, step: Step, person: Asking) -> Json:
        """Pause, resume or cancel a job."""
        return job_json(jobs.steer(job_id, step, person))


def _add_samples(router: APIRouter, desk: Desk) -> None:
    @router.get("/sets/{set_id}/sample")
    def api_sample(set_id: Id) -> Json:
        """The sample that was drawn last, with what became of each of it."""
        found = newest_sample(desk, set_id)
        if found is None:
            raise NotHere(f"no sample of set {set_id} was drawn")
        return sample_json(found)

    @router.get("/sets/{set_id}/evidence")
    def api_evidence(set_id: Id) -> list[Json]:
        """What each of the set's bulk approvals rests on, the newest first."""
        with desk.database.reading() as session:
            find_set(session, set_id)
        return [evidence_json(one) for one in evidence_of(desk, set_id)]

    @router.post("/sets/{set_id}/sample", status_code=201)
    def api_draw_sample(set_id: Id, asked: Draw, person: Asking) -> Json:
        """Draw candidates to look at before the others above a threshold may be approved."""
        draw_sample(desk, set_id, asked.least_score, asked.most_delta_e, asked.count, person)
        return api_sample(set_id)

    @router.post("/samples/{sample_id}/approve")
    def api_approve_rest(sample_id: Id, person: Asking) -> Json:
        """Approve all behind a sample, each of which a person has approved."""
        return {"approved": approve_rest(desk, sample_id, person)}


def _preview(desk: Desk, property: str, family: str, upload: Upload) -> Preview:
    try:
        data = upload.text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{upload.name}: not text: {error.reason}") from error
    return preview(desk, property, family, lines_of_file(data, upload.name))
