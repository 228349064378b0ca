"""The log over HTTP, for regions that were admitted: log, snapshots, digests, ranges, reports.

Regions only ever call; nothing here calls a region.
"""

from collections.abc import Callable
from hmac import compare_digest
from ipaddress import ip_address
from typing import Annotated

import msgspec
from fastapi import FastAPI, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from kvsync.errors import BadRequest, Forbidden, LogAhead
from kvsync.log_answer import FRAMES
from kvsync.ranges import RANGES, RangeEntries
from kvsync.report import MAX_REPORT_BYTES, RegionReport, ReportAnswer
from kvsync.wire import MSGPACK, read_body
from origin.sync import chain, truth
from origin.sync.service import LogService, now_ms
from origin.sync.watch import MAX_EVENT_BYTES, Watcher

MAX_WAIT_S = 10.0

Count = Callable[[str, int, int], None]
At = Annotated[int | None, Query(ge=0)]


def add_log_routes(app: FastAPI, log: LogService, count: Count) -> None:
    """``count`` is told kind, status and bytes of every answer."""
    _add_log(app, log, count)
    _add_snapshots(app, log, count)
    _add_ranges(app, log, count)
    _add_reports(app, log)


def _add_log(app: FastAPI, log: LogService, count: Count) -> None:
    @app.get("/v1/log/{property}")
    async def read(
        request: Request,
        property: str,
        after: Annotated[int, Query(ge=0)] = 0,
        wait_s: Annotated[float, Query(ge=0)] = 0,
    ) -> Response:
        speaking_region(request, log, property)
        wait_ms = int(min(wait_s, MAX_WAIT_S) * 1_000)
        answer = await log.stream.read(property, after, wait_ms)
        if not answer.batches and after > log.sealer.sealed.get(property, 0):
            await run_in_threadpool(_demand_known, log, property, after)
        raw = answer.encode()
        count("log", 200, len(raw))
        return Response(raw, media_type=FRAMES)


def _add_snapshots(app: FastAPI, log: LogService, count: Count) -> None:
    @app.get("/v1/snapshots/{property}")
    async def manifest(request: Request, property: str) -> Response:
        speaking_region(request, log, property)
        # Older, it would leave a gap between itself and the log.
        first = await log.stream.first(property)
        signed = await run_in_threadpool(log.snapshots.manifest, property, (first or 1) - 1)
        count("snapshot", 200, len(signed))
        return Response(signed, media_type=MSGPACK)

    @app.get("/v1/snapshots/{property}/{digest}")
    def piece(request: Request, property: str, digest: str) -> Response:
        speaking_region(request, log, property)
        found = log.snapshots.piece(property, digest)
        count("snapshot", 200, len(found))
        return Response(found, media_type="application/octet-stream")


def _add_ranges(app: FastAPI, log: LogService, count: Count) -> None:
    @app.get("/v1/digests/{property}")
    def digests(request: Request, property: str, at: At = None) -> Response:
        region = speaking_region(request, log, property)
        signed = log.digests.at(property, at, region).sign(log.key)
        count("digests", 200, len(signed))
        return Response(signed, media_type=MSGPACK)

    @app.get("/v1/ranges/{property}/{number}")
    def range_(request: Request, property: str, number: int, at: At = None) -> Response:
        region = speaking_region(request, log, property)
        if not 0 <= number < RANGES:
            raise BadRequest(f"ranges are numbered 0 to {RANGES - 1}")
        head = chain.head(log.database, property).seq
        seq = head if at is None else at
        if seq > head:
            raise LogAhead(f"{property}: the log ends at {head}, before {seq}")
        entries = truth.range_entries(log.database, property, number, seq, region)
        signed = RangeEntries.make(property, number, seq, entries).sign(log.key)
        count("range", 200, len(signed))
        return Response(signed, media_type=MSGPACK)


def _add_reports(app: FastAPI, log: LogService) -> None:
    @app.post("/v1/regions/{region}/report")
    async def report(request: Request, region: str) -> Response:
        speaker = speaking_region(request, log)
        said = RegionReport.decode(await read_body(request.stream(), MAX_REPORT_BYTES))
        if not speaker == region == said.region:
            raise Forbidden(f"region {speaker} cannot speak for {region[:40]}")
        own = log.tokens.regions()[region].properties
        await log.reports.keep(said, own, now_ms())
        answer = ReportAnswer(now_ms(), await log.reports.asked(own))
        return Response(answer.encode(), media_type="application/json")


def add_store_events(app: FastAPI, watcher: Watcher, token: str) -> None:
    """``POST /v1/dam/{property}/events``: what a bucket's notifications are sent to."""

    @app.post("/v1/dam/{property}/events")
    async def told(request: Request, property: str) -> Response:
        _demand_private(request)
        said = request.headers.get("authorization", "")
        if not token or not compare_digest(said.encode(), f"Bearer {token}".encode()):
            raise Forbidden("this needs ORIGIN_DAM_TOKEN: Authorization: Bearer TOKEN")
        if property not in watcher.sites:
            raise Forbidden(f"no asset store is known of property {property[:40]!r}")
        raw = await read_body(request.stream(), MAX_EVENT_BYTES)
        found = await run_in_threadpool(watcher.told, watcher.sites[property], raw)
        body = msgspec.json.encode({"withdrawn": sorted(found)})
        return Response(body, media_type="application/json")


def _demand_known(log: LogService, property: str, after: int) -> None:
    head = chain.head(log.database, property).seq
    if after > head:
        raise LogAhead(
            f"{property}: the log ends at {head}, before {after}: the origin has an older database "
            "than the region has seen"
        )


def speaking_region(request: Request, log: LogService, property: str | None = None) -> str:
    """The region whose token a request bears, if it serves ``property``, or :class:`Forbidden`."""
    _demand_private(request)
    return log.tokens.region_of(request.headers.get("authorization"), property)


def _demand_private(request: Request) -> None:
    """:class:`Forbidden` for a connection on which others could read the token."""
    client = request.client.host if request.client else "::1"
    if request.url.scheme != "https" and not _is_loopback(client):
        raise Forbidden("tokens are taken over HTTPS; plain HTTP is for one machine only")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
