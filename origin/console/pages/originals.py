"""Originals: upload pictures, look at what would go in, put them into the asset store."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response, UploadFile
from starlette.concurrency import run_in_threadpool

from kvsync.errors import InputError
from origin.console.access import Asking
from origin.console.desk import Desk
from origin.console.originals import MOST_BYTES, MOST_FILES, Looked, look_at, put_in
from origin.console.pages.sets import Uploads
from origin.console.rendering import go, page


def routes(desk: Desk) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    uploads = Uploads(desk.settings.folder / "originals")

    @router.get("/p/{property}/originals")
    def originals_page(request: Request, property: str) -> Response:
        desk.site(property)
        limits = {"files": MOST_FILES, "megabytes": MOST_BYTES >> 20}
        return page(request, "originals.html", property=property, limits=limits)

    @router.post("/p/{property}/originals/preview")
    async def preview_originals(
        request: Request, property: str, person: Asking, files: list[UploadFile]
    ) -> Response:
        desk.site(property)
        if not 1 <= len(files) <= MOST_FILES:
            raise InputError(f"choose 1 to {MOST_FILES} pictures at once")
        looked: list[tuple[Looked, str]] = []
        for file in files:
            data = await file.read(MOST_BYTES + 1)
            name = (file.filename or "")[-120:]
            one = await run_in_threadpool(look_at, desk, property, name, data)
            looked.append((one, uploads.keep(person, name, data) if one.goes_in else ""))
        return page(request, "originals_preview.html", property=property, looked=looked)

    @router.post("/p/{property}/originals")
    def import_originals(
        property: str, person: Asking, upload: Annotated[list[str], Form(max_length=MOST_FILES)]
    ) -> Response:
        opened = [uploads.open(person, one) for one in upload]
        looked = [look_at(desk, property, name, data) for name, data in opened]
        count = put_in(desk, property, looked, person)
        return go(f"/p/{property}", f"{count} originals are in the asset store.")

    return router
