"""The first page, and each property's own."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from kvsync.errors import InputError
from origin.console.desk import Desk
from origin.console.overview import overview, read_url, sets_of
from origin.console.rendering import page

MOST_URLS = 200


def routes(desk: Desk) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def home(request: Request) -> Response:
        found = [overview(desk, name) for name in desk.sites]
        return page(request, "home.html", properties=found)

    @router.get("/p/{property}")
    def property_page(request: Request, property: str) -> Response:
        return page(
            request,
            "property.html",
            one=overview(desk, property, with_scores=True),
            rules=desk.site(property).rules,
            sets=sets_of(desk, property),
            shop=desk.settings.shop_url,
        )

    @router.post("/p/{property}/urls")
    def test_urls(
        request: Request, property: str, urls: Annotated[str, Form(max_length=200_000)] = ""
    ) -> Response:
        lines = [line for line in urls.splitlines() if line.strip()]
        if not lines or len(lines) > MOST_URLS:
            raise InputError(f"paste 1 to {MOST_URLS} URLs, one a line")
        readings = [read_url(desk, property, line.strip()) for line in lines]
        return page(request, "urls.html", readings=readings, property=property)

    return router
