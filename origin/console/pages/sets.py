"""Prompt sets: upload, look at what would go in, take it in, make candidates."""

import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response, UploadFile

from kvsync.errors import InputError
from kvsync.files import write_file
from origin.console.access import Asking
from origin.console.accounts import Person
from origin.console.at_work import somebody_is_at_work
from origin.console.confirming import regions_of
from origin.console.decisions import evidence_of, newest_sample
from origin.console.desk import Desk, NotHere
from origin.console.gathering import gather
from origin.console.jobs import Jobs, Step
from origin.console.prompt_sets.reading import MAX_BYTES, Line, Wrong
from origin.console.prompt_sets.returning import returned
from origin.console.rendering import go, page
from origin.console.sets import (
    Preview,
    example,
    failed_rows,
    find_set,
    lines_of_file,
    lines_of_template,
    preview,
    states_of,
    take_in,
    words_of,
)
from origin.console.showing import waiting
from origin.console.tables import ENDED

SHOWN = 100
# Uploads that nobody took in are forgotten.
_KEPT_S = 24 * 3_600


def routes(desk: Desk, jobs: Jobs) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    _uploading(router, desk)
    _taking_in(router, desk)
    _generating(router, desk, jobs)
    return router


def _uploading(router: APIRouter, desk: Desk) -> None:
    @router.get("/p/{property}/upload")
    def upload_page(request: Request, property: str) -> Response:
        desk.site(property)
        catalogue = desk.catalogues.get(property)
        return page(
            request,
            "upload.html",
            property=property,
            families=desk.families(property),
            attributes=list(catalogue.attribute_values) if catalogue else [],
            words={name: words_of(desk, property, name) for name in desk.families(property)},
        )

    @router.get("/p/{property}/example.csv")
    def example_set(property: str, family: str) -> Response:
        headers = {"content-disposition": 'attachment; filename="example.csv"'}
        rows = example(desk, property, family)
        return Response(rows, media_type="text/csv; charset=utf-8", headers=headers)


def _taking_in(router: APIRouter, desk: Desk) -> None:
    uploads = Uploads(desk.settings.folder / "uploads")

    @router.post("/p/{property}/preview")
    async def preview_set(
        request: Request,
        property: str,
        person: Asking,
        family: Annotated[str, Form()],
        name: Annotated[str, Form(max_length=120)] = "",
        file: UploadFile | None = None,
        text: Annotated[str, Form()] = "",
        template: Annotated[str, Form(max_length=2_000)] = "",
        pattern: Annotated[str, Form(max_length=500)] = "",
    ) -> Response:
        data, source = await _uploaded(desk, property, file, text, template, pattern)
        found = preview(desk, property, family, lines_of_file(data, source))
        upload = uploads.keep(person, source, data)
        return page(
            request,
            "preview.html",
            property=property,
            family=family,
            name=name or source,
            upload=upload,
            found=found,
            words=words_of(desk, property, family),
            shown=SHOWN,
        )

    @router.post("/p/{property}/import")
    def import_set(
        property: str,
        person: Asking,
        family: Annotated[str, Form()],
        upload: Annotated[str, Form()],
        name: Annotated[str, Form(max_length=120)] = "",
    ) -> Response:
        found = _again(desk, uploads, person, property, family, upload)
        set_id = take_in(desk, property, family, name, found.good, person)
        fresh = len(found.good) - found.count("known")
        return go(f"/sets/{set_id}", f"{fresh} rows imported, {len(found.wrong)} left out.")

    @router.post("/p/{property}/families/{family}/gather")
    def gather_set(property: str, family: str, person: Asking) -> Response:
        desk.site(property)
        said = "They are a set now: approve many of them after looking at a sample."
        return go(f"/sets/{gather(desk, property, family, person)}", said)

    @router.get("/p/{property}/rejected/{upload}")
    def rejected_lines(property: str, upload: str, person: Asking, family: str) -> Response:
        found = _again(desk, uploads, person, property, family, upload)
        source, data = uploads.open(person, upload)
        name, media_type, rows = returned(data, source, found.wrong)
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(rows, media_type=f"{media_type}; charset=utf-8", headers=headers)


def _generating(router: APIRouter, desk: Desk, jobs: Jobs) -> None:
    @router.get("/sets/{set_id}")
    def set_page(request: Request, set_id: int) -> Response:
        return page(request, "set.html", **_set(desk, jobs, set_id))

    @router.get("/sets/{set_id}/progress")
    def set_progress(request: Request, set_id: int) -> Response:
        found = _set(desk, jobs, set_id)
        answer = page(request, "progress.html", **found)
        if not found["busy"]:
            # What comes next stands on the page around the progress.
            answer.headers["hx-refresh"] = "true"
        return answer

    @router.post("/sets/{set_id}/generate")
    def generate(
        set_id: int,
        person: Asking,
        seeds: Annotated[int, Form()] = 8,
        least: Annotated[float, Form()] = 80.0,
    ) -> Response:
        jobs.start(set_id, seeds, least, person)
        return go(f"/sets/{set_id}")

    @router.post("/jobs/{job_id}/{step}")
    def steer_job(job_id: int, step: Step, person: Asking) -> Response:
        return go(f"/sets/{jobs.steer(job_id, step, person).set_id}")


class Uploads:
    """Files between preview and import, each its uploader's own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def keep(self, person: Person, source: str, data: bytes) -> str:
        """A name to ask for it again with."""
        for old in self._folder.iterdir():
            if time.time() - old.stat().st_mtime > _KEPT_S:
                old.unlink(missing_ok=True)
        name = secrets.token_hex(12)
        head = f"{person.account_id}\n{source}\n".encode()
        write_file(self._folder / name, head + data)
        return name

    def open(self, person: Person, name: str) -> tuple[str, bytes]:
        """The file's name and bytes; :class:`NotHere` unless it is this person's."""
        if len(name) == 24 and name.isalnum() and (path := self._folder / name).is_file():
            owner, source, data = path.read_bytes().split(b"\n", 2)
            if int(owner) == person.account_id:
                return source.decode(), data
        raise NotHere("this upload is gone; upload the file again")


def _again(
    desk: Desk, uploads: Uploads, person: Person, property: str, family: str, upload: str
) -> Preview:
    """Checked again: much may have happened since the preview."""
    source, data = uploads.open(person, upload)
    return preview(desk, property, family, lines_of_file(data, source))


async def _uploaded(
    desk: Desk,
    property: str,
    file: UploadFile | None,
    text: str,
    template: str,
    pattern: str,
) -> tuple[bytes, str]:
    """The bytes and name of whichever of the three ways was used."""
    if file is not None and file.filename:
        return await file.read(MAX_BYTES + 1), _plain(file.filename)
    if text.strip():
        return text.replace("\r\n", "\n").encode(), "pasted text"
    if template.strip():
        lines = lines_of_template(desk, property, template.strip(), pattern)
        return _as_text(lines), "template"
    raise InputError("choose a file, paste lines, or write a template")


def _as_text(lines: Iterable[Line | Wrong]) -> bytes:
    return "".join(f"{line.text}\n" for line in lines).encode()


def _plain(name: str) -> str:
    kept = "".join(letter for letter in name if letter.isprintable())
    return kept.replace("/", "_")[-100:]


def _set(desk: Desk, jobs: Jobs, set_id: int) -> dict[str, Any]:
    with desk.database.reading() as session:
        row = find_set(session, set_id)
        states = states_of(session, set_id)
        failed = failed_rows(session, set_id) if states.get("failed") else []
        to_publish = waiting(session, row.property, set_id) if states.get("approved") else 0
    found = jobs.of_set(set_id)
    return {
        "set": row,
        "states": states,
        "failed": failed,
        "to_publish": to_publish,
        "rows": sum(states.values()),
        "jobs": found,
        "at_work": somebody_is_at_work(desk.settings.folder),
        "busy": bool(found) and found[0].state not in ENDED,
        "sample": newest_sample(desk, set_id),
        "evidence": evidence_of(desk, set_id),
        "regions": regions_of(desk, row.property),
    }
