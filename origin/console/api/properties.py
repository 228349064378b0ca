"""Properties and families: what there is, what a URL means, and new ones."""

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from kvsync.errors import InputError
from origin.console.access import Asking
from origin.console.api.forms import Json, NewFamily, NewProperty, Urls
from origin.console.desk import Desk
from origin.console.families import create_family, family_row, manifest_of
from origin.console.originals import Looked, look_at, put_in
from origin.console.overview import Overview, Reading, overview, read_url
from origin.console.property_files import Draft, PropertyFiles, create_property


def add_properties(router: APIRouter, desk: Desk) -> None:
    files = PropertyFiles(desk.origin.properties_dir)

    @router.get("/properties")
    def api_properties() -> list[Json]:
        """Properties with their families and how far each has come."""
        return [_property(overview(desk, name)) for name in desk.sites]

    @router.post("/properties", status_code=201)
    def api_create_property(asked: NewProperty, person: Asking) -> Json:
        """Write a new property down; edges and regions have it by the log."""
        draft = Draft(
            asked.id,
            tuple(asked.hosts),
            asked.like,
            tuple(asked.significant),
            tuple(asked.refused),
            tuple(asked.rendition.items()),
        )
        rules = create_property(desk, files, draft, person)
        return {"id": rules.id, "hosts": list(rules.hosts)}

    @router.post("/properties/{property}/urls")
    def api_test_urls(property: str, asked: Urls) -> list[Json]:
        """What URLs mean by the property's key rules: canonical form, key, record or not."""
        rules = files.find(property)
        return [_reading(read_url(desk, rules, url)) for url in asked.urls]

    @router.post("/properties/{property}/families", status_code=201)
    def api_create_family(property: str, asked: NewFamily, person: Asking) -> Json:
        """Make a family of the originals whose names are like a pattern."""
        found = create_family(desk, property, asked.name, asked.pattern, person)
        return {"name": asked.name, "originals": len(found.names), "attributes": found.attributes}

    @router.get("/properties/{property}/families/{family}/manifest")
    def api_manifest(property: str, family: str) -> Json:
        """The manifest to train a family's model with, of one that was made here."""
        desk.site(property)
        return manifest_of(desk, family_row(desk, property, family))

    _add_originals(router, desk)


def _add_originals(router: APIRouter, desk: Desk) -> None:
    @router.put("/properties/{property}/originals/{name}")
    async def api_put_original(property: str, name: str, request: Request, person: Asking) -> Json:
        """Put a picture, the request's body, into the asset store; it is decoded apart first."""
        desk.site(property)
        data = await request.body()

        def put() -> Looked:
            found = look_at(desk, property, name, data)
            if found.why:
                raise InputError(f"{name}: {found.why}")
            put_in(desk, property, [found], person)
            return found

        found = await run_in_threadpool(put)
        said = {"name": name, "verdict": found.verdict, "bytes": len(data)}
        return {**said, "width": found.width, "height": found.height}


def _property(one: Overview) -> Json:
    return {
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


def _reading(one: Reading) -> Json:
    return {
        "url": one.url,
        "canonical": one.canonical or None,
        "key": one.key.hex() or None,
        "record": one.record or None,
        "fault": one.fault or None,
    }
