"""Originals by asset key, for regions that keep a replica of them."""

from collections.abc import Mapping

from fastapi import FastAPI, Request, Response
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from kvsync.errors import BadRequest
from origin.dam import AssetInfo, AssetNotFound
from origin.site import Site
from origin.sync.routes import Count, speaking_region
from origin.sync.service import LogService
from origin.tables import AssetRow

_FROM = "bytes="


def add_originals(app: FastAPI, log: LogService, sites: Mapping[str, Site], count: Count) -> None:
    """``count`` is told kind, status and bytes of every answer."""

    def find(property: str, key: str) -> tuple[AssetInfo, bytes]:
        if property not in sites:
            raise AssetNotFound(f"no asset store is known of property {property[:40]!r}")
        site = sites[property]
        query = select(AssetRow.path).where(
            AssetRow.property == property, AssetRow.key == _key(key)
        )
        with log.database.reading() as session:
            path = session.scalars(query).one_or_none()
        if path is None:
            raise AssetNotFound(f"{property}: no asset {key} is known")
        return site.dam.open(site.name_of(site.request(path)))

    @app.get("/v1/originals/{property}/{key}")
    async def original(request: Request, property: str, key: str) -> Response:
        speaking_region(request, log, property)
        info, body = await run_in_threadpool(find, property, key)
        after = _after(request.headers.get("range"), request.headers.get("if-range"), info)
        fields = {"etag": info.etag}
        if after:
            fields["content-range"] = f"bytes {after}-{info.size - 1}/{info.size}"
        sent = body[after:]
        count("original", 206 if after else 200, len(sent))
        return Response(sent, 206 if after else 200, fields, media_type=info.media_type)


def _key(hex: str) -> bytes:
    try:
        return bytes.fromhex(hex)
    except ValueError as error:
        raise BadRequest(f"{hex[:40]!r} is no asset key in hex") from error


def _after(asked: str | None, condition: str | None, info: AssetInfo) -> int:
    """Where to begin: at a byte that is asked for, ``bytes=N-``, of just this original; else at its
    beginning, which is always right (RFC 9110 section 14.2)."""
    if asked is None or condition != info.etag or not asked.startswith(_FROM):
        return 0
    first, _, last = asked.removeprefix(_FROM).partition("-")
    wanted = int(first) if first.isdecimal() and not last else 0
    return wanted if wanted < info.size else 0
