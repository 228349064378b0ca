"""What is live: publish, revoke, roll back."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from origin.console import publishing
from origin.console.access import Asking
from origin.console.desk import Desk
from origin.console.overview import overview
from origin.console.rendering import go, page


def routes(desk: Desk) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/p/{property}/live")
    def live_page(request: Request, property: str) -> Response:
        return page(
            request,
            "live.html",
            one=overview(desk, property),
            property=property,
            publications=publishing.publications(desk, property),
            shop=desk.settings.shop_url,
        )

    @router.post("/p/{property}/publish")
    def publish(
        request: Request,
        property: str,
        person: Asking,
        set_id: Annotated[int | None, Form()] = None,
    ) -> Response:
        outcome = publishing.publish(desk, property, set_id, person)
        return page(
            request,
            "published.html",
            property=property,
            outcome=outcome,
            shop=desk.settings.shop_url,
        )

    @router.post("/p/{property}/revoke")
    def revoke(
        property: str,
        person: Asking,
        pattern: Annotated[str, Form(max_length=1_000)] = "",
        family: Annotated[str, Form(max_length=40)] = "",
        reason: Annotated[str, Form(max_length=500)] = "",
    ) -> Response:
        done = publishing.revoke(desk, property, pattern, family, reason, person)
        said = f"{len(done.now)} revoked; {len(done.before)} had been before."
        return go(f"/p/{property}/live", said)

    @router.post("/p/{property}/publications/{number}/roll-back", name="roll_back")
    def take_back(property: str, number: int, person: Asking) -> Response:
        returned, gone = publishing.roll_back(desk, number, person)
        said = f"{returned} went back to what they were, {gone} to the origin."
        return go(f"/p/{property}/live", said)

    return router
