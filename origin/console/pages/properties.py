"""Properties and families: made here, their key rules tried on URLs before anything is."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Form, Request, Response

from kvsync.errors import InputError
from origin.console.access import Asking
from origin.console.confirming import regions_of
from origin.console.desk import Desk
from origin.console.families import create_family as make_family
from origin.console.families import family_row, find_originals, manifest_of
from origin.console.overview import Reading, read_url, read_with
from origin.console.property_files import Draft, PropertyFiles, as_toml, read_draft
from origin.console.property_files import create_property as create
from origin.console.rendering import go, page

MOST_URLS = 200
SHOWN = 12
Text = Annotated[str, Form(max_length=4_000)]


def routes(desk: Desk) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    files = PropertyFiles(desk.origin.properties_dir)
    _add_properties(router, desk, files)
    _add_rules(router, desk, files)
    _add_families(router, desk)
    return router


def _add_properties(router: APIRouter, desk: Desk, files: PropertyFiles) -> None:
    @router.get("/properties/new")
    def new_property(request: Request) -> Response:
        return page(request, "new_property.html", others=list(files.read()))

    @router.post("/properties/try")
    def try_property(
        request: Request,
        id: Text = "",
        hosts: Text = "",
        like: Text = "",
        significant: Text = "",
        refused: Text = "",
        rendition: Text = "",
        urls: Annotated[str, Form(max_length=200_000)] = "",
    ) -> Response:
        rules, fault = None, ""
        try:
            rules = files.rules_of(read_draft(id, hosts, like, significant, refused, rendition))
        except InputError as error:
            fault = str(error)
        lines = _lines(urls)
        readings = [read_with(rules, line) for line in lines] if rules else []
        toml = as_toml(rules) if rules else ""
        return page(request, "tried.html", toml=toml, fault=fault, readings=readings)

    @router.post("/properties")
    def create_property(
        person: Asking,
        id: Text,
        hosts: Text,
        like: Text,
        significant: Text = "",
        refused: Text = "",
        rendition: Text = "",
    ) -> Response:
        draft: Draft = read_draft(id, hosts, like, significant, refused, rendition)
        rules = create(desk, files, draft, person)
        return go(f"/p/{rules.id}", f"{rules.id} is there. Next: its originals.")


def _add_rules(router: APIRouter, desk: Desk, files: PropertyFiles) -> None:
    @router.get("/properties/{property}")
    def rules_page(request: Request, property: str) -> Response:
        found = files.find(property)
        return page(
            request,
            "rules.html",
            property=property,
            toml=as_toml(found),
            served=property in desk.sites,
            regions=regions_of(desk, property),
            one=found,
        )

    @router.post("/properties/{property}/urls")
    def test_urls(
        request: Request, property: str, urls: Annotated[str, Form(max_length=200_000)] = ""
    ) -> Response:
        found = files.find(property)
        readings: list[Reading] = [read_url(desk, found, line) for line in _lines(urls)]
        if not readings:
            raise InputError(f"paste 1 to {MOST_URLS} URLs, one a line")
        return page(request, "urls.html", readings=readings, property=property)


def _add_families(router: APIRouter, desk: Desk) -> None:
    @router.get("/p/{property}/families/new")
    def new_family(request: Request, property: str) -> Response:
        names = []
        for name, _ in zip(desk.site(property).dam.list(), range(SHOWN), strict=False):
            names.append(name)
        return page(request, "new_family.html", property=property, names=names)

    @router.post("/p/{property}/families/try")
    def try_family(request: Request, property: str, pattern: Text = "") -> Response:
        found = find_originals(desk, property, pattern)
        return page(request, "tried_family.html", property=property, found=found, shown=SHOWN)

    @router.post("/p/{property}/families")
    def create_family(property: str, person: Asking, name: Text, pattern: Text) -> Response:
        found = make_family(desk, property, name.strip(), pattern, person)
        said = f"{name.strip()} has {len(found.names)} originals."
        return go(f"/p/{property}", said)

    @router.get("/p/{property}/families/{family}/manifest.json")
    def family_manifest(property: str, family: str) -> Response:
        data = msgspec.json.format(
            msgspec.json.encode(manifest_of(desk, family_row(desk, property, family)))
        )
        headers = {"content-disposition": 'attachment; filename="manifest.json"'}
        return Response(data, media_type="application/json", headers=headers)


def _lines(urls: str) -> list[str]:
    lines = [line.strip() for line in urls.splitlines() if line.strip()]
    if len(lines) > MOST_URLS:
        raise InputError(f"paste 1 to {MOST_URLS} URLs, one a line")
    return lines
