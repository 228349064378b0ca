"""The first page, and each property's own."""

from fastapi import APIRouter, Request, Response

from origin.console.desk import Desk
from origin.console.overview import overview, sets_of
from origin.console.property_files import PropertyFiles
from origin.console.rendering import page


def routes(desk: Desk) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    files = PropertyFiles(desk.origin.properties_dir)

    @router.get("/")
    def home(request: Request) -> Response:
        found = [overview(desk, name) for name in desk.sites]
        others = sorted(files.read().keys() - desk.sites.keys())
        return page(request, "home.html", properties=found, others=others)

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

    return router
