"""The console's hit list: a table that sorts and filters, contact sheets, a way into training."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from PIL import Image

from kvsync.errors import InputError, OriginUnavailable
from origin.analysis.background import begin_taking, taking_of
from origin.analysis.command import HitList, list_in, open_named, read_list
from origin.analysis.descriptor import Unfit, small_picture
from origin.analysis.hits import Hit
from origin.analysis.report import as_csv, as_json
from origin.analysis.store import Store
from origin.console.access import Asking
from origin.console.desk import Desk, NotHere
from origin.console.rendering import go, page
from origin.qa import audit

ROWS: Final = 100
_SIDE: Final = 128

Sort = Literal["saving", "recall", "images", "bytes", "misses", "name"]
Which = Literal["all", "worth", "taken"]
_ORDER: Final[Mapping[Sort, Callable[[Hit], Any]]] = {
    "saving": lambda hit: -(hit.saving if hit.saving is not None else float("-inf")),
    "recall": lambda hit: -(hit.recall or 0.0),
    "images": lambda hit: -hit.images,
    "bytes": lambda hit: -hit.bytes,
    "misses": lambda hit: -(hit.misses or 0.0),
    "name": lambda hit: hit.name,
}


def routes(desk: Desk) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    _add_list(router, desk)
    _add_families(router, desk)
    return router


def _add_list(router: APIRouter, desk: Desk) -> None:
    folder = desk.settings.analysis

    @router.get("/hitlist")
    def hitlist_page(
        request: Request,
        like: Annotated[str, Query(max_length=100)] = "",
        sort: Sort = "saving",
        which: Which = "all",
        number: Annotated[int, Query(ge=1)] = 1,
    ) -> Response:
        found = list_in(folder)
        hits = chosen(found, like, sort, which) if found else []
        shown = hits[(number - 1) * ROWS : number * ROWS]
        asked = {"like": like, "sort": sort, "which": which}
        last = max(1, -(-len(hits) // ROWS))
        return page(
            request,
            "hitlist.html",
            found=found,
            hits=shown,
            total=len(hits),
            asked=asked,
            number=number,
            last=last,
            folder=folder.absolute(),
            properties=sorted(desk.sites),
        )

    @router.get("/hitlist/export")
    def hitlist_export(form: Literal["csv", "json"] = "csv") -> Response:
        found = read_list(folder)
        body = as_csv(found).encode() if form == "csv" else as_json(found)
        kind = "text/csv; charset=utf-8" if form == "csv" else "application/json"
        named = f'attachment; filename="hitlist-{found.day}.{form}"'
        return Response(body, media_type=kind, headers={"content-disposition": named})


def _add_families(router: APIRouter, desk: Desk) -> None:
    folder = desk.settings.analysis

    @router.get("/hitlist/{id}")
    def hitlist_family(request: Request, id: str) -> Response:
        return page(request, "hitlist_family.html", **_of_family(desk, id))

    @router.get("/hitlist/{id}/taking")
    def hitlist_taking(request: Request, id: str) -> Response:
        return page(request, "hitlist_taking.html", **_of_family(desk, id))

    @router.get("/hitlist/{id}/{at}.webp")
    def hitlist_picture(id: str, at: int) -> Response:
        hit = hit_named(folder, id)
        if not 0 <= at < len(hit.shown):
            raise NotHere(f"{id} shows no picture {at}")
        data = _picture(folder, hit.customers[0], hit.shown[at])
        headers = {"cache-control": "private, max-age=3600"}
        return Response(data, media_type="image/webp", headers=headers)

    @router.post("/hitlist/{id}/take")
    def take_family(id: str, person: Asking) -> Response:
        hit = hit_named(folder, id)
        property = _property_of(desk, hit)
        if not property:
            raise InputError(
                f"{hit.name} is of {', '.join(hit.customers)}: no property of this console"
            )
        begin_taking(folder, hit)
        with desk.database.writing() as session:
            audit(session, person.name, "take family", hit.name, property=property, id=hit.id)
        return go(f"/hitlist/{id}", f"{hit.name} is being trained; its records come to the queue.")


def chosen(found: HitList, like: str, sort: Sort, which: Which) -> list[Hit]:
    """The list's families with ``like`` in name, template or customer, sorted."""
    wanted = like.casefold()
    hits = [
        hit
        for hit in found.hits
        if wanted in f"{hit.id} {hit.name} {hit.template} {' '.join(hit.customers)}".casefold()
        and (which != "worth" or (hit.saving or 0.0) > 0)
        and (which != "taken" or hit.taken)
    ]
    return sorted(hits, key=_ORDER[sort])


def hit_named(folder: Path, id: str) -> Hit:
    for hit in read_list(folder).hits:
        if hit.id == id:
            return hit
    raise NotHere(f"there is no family {id[:20]!r} in the list")


def _of_family(desk: Desk, id: str) -> dict[str, Any]:
    hit = hit_named(desk.settings.analysis, id)
    taking = taking_of(desk.settings.analysis, hit)
    return {"hit": hit, "taking": taking, "property": _property_of(desk, hit)}


def _property_of(desk: Desk, hit: Hit) -> str:
    """Where its records go: its one customer, who is a property here; else ""."""
    (customer, *others) = hit.customers
    return customer if not others and customer in desk.sites else ""


@lru_cache(maxsize=512)
def _picture(folder: Path, customer: str, path: str) -> bytes:
    """A member, small; :class:`NotHere` for one that cannot be read now."""
    with Store(folder / "inventory.db") as store:
        place = dict(store.customers()).get(customer)
    if place is None:
        raise NotHere(f"{customer}: its place is not known any more")
    try:
        small = small_picture(open_named(place).read(path), _SIDE)
    except (OSError, OriginUnavailable, Unfit) as error:
        raise NotHere(f"{path}: cannot be shown: {error}") from error
    file = BytesIO()
    Image.fromarray(small).save(file, "WEBP", quality=75)
    return file.getvalue()
