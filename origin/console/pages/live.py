"""What is live: publish, revoke, roll back."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from origin.console import publishing
from origin.console.access import Asking
from origin.console.confirming import change, counts_since, regions_of
from origin.console.desk import Desk
from origin.console.rendering import go, page
from origin.console.showing import shown, waiting


def routes(desk: Desk) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/p/{property}/live")
    def live_page(
        request: Request, property: str, like: str = "", number: int = 1, pattern: str = ""
    ) -> Response:
        rows = publishing.publications(desk, property)
        with desk.database.reading() as session:
            to_publish = waiting(session, property)
        return page(
            request,
            "live.html",
            property=property,
            families=desk.families(property),
            found=shown(desk, property, like.strip()[:200], number),
            to_publish=to_publish,
            pattern=pattern[:1_000],
            publications=rows,
            canaries=[(row, counts_since(desk, row)) for row in rows if row.is_canary],
            regions=regions_of(desk, property),
            shop=desk.settings.shop_url,
        )

    @router.get("/p/{property}/changes/{seq}")
    def change_page(request: Request, property: str, seq: int) -> Response:
        found = change(desk, property, seq)
        return page(request, "change.html", change=found, shop=desk.settings.shop_url)

    @router.get("/p/{property}/changes/{seq}/progress")
    def change_progress(request: Request, property: str, seq: int) -> Response:
        return page(request, "change_progress.html", change=change(desk, property, seq))

    _add_publishing(router, desk)
    _add_taking_back(router, desk)
    return router


def _add_publishing(router: APIRouter, desk: Desk) -> None:
    @router.post("/p/{property}/publish")
    def publish(
        request: Request,
        property: str,
        person: Asking,
        set_id: Annotated[int | None, Form()] = None,
        region: Annotated[str, Form(max_length=40)] = "",
    ) -> Response:
        outcome = publishing.publish(desk, property, set_id, person, region)
        return page(
            request,
            "published.html",
            property=property,
            outcome=outcome,
            region=region,
            shop=desk.settings.shop_url,
        )

    @router.post("/p/{property}/publications/{number}/everywhere", name="go_everywhere")
    def everywhere(property: str, number: int, person: Asking) -> Response:
        outcome = publishing.go_everywhere(desk, number, person)
        said = f"{len(outcome.published.signed)} went to every region."
        return go(f"/p/{property}/changes/{outcome.seq}", said)


def _add_taking_back(router: APIRouter, desk: Desk) -> None:
    @router.post("/p/{property}/revoke")
    def revoke(
        property: str,
        person: Asking,
        pattern: Annotated[str, Form(max_length=1_000)] = "",
        family: Annotated[str, Form(max_length=40)] = "",
        reason: Annotated[str, Form(max_length=500)] = "",
    ) -> Response:
        done = publishing.revoke(desk, property, pattern, family, reason, person)
        said = f"{len(done.now)} revoked."
        if done.before:
            said += f" {len(done.before)} had been before."
        return go(f"/p/{property}/changes/{done.seq}", said)

    @router.post("/p/{property}/publications/{number}/roll-back", name="roll_back")
    def take_back(property: str, number: int, person: Asking) -> Response:
        returned, gone, seq = publishing.roll_back(desk, number, person)
        said = f"{returned} went back to what they were, {gone} to the origin."
        return go(f"/p/{property}/changes/{seq}", said)
