"""The operators' side of an edge: health, metrics, purges. For loopback or a private network."""

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from edge.flow import Edge
from edge.fronts import Fronts
from edge.purging import EdgePurge, purge
from edge.sites import Sites
from kvsync.errors import BadRequest, MethodNotAllowed, RehydrationError
from kvsync.handing_out import confirm, hand_out
from kvsync.ledger import LEDGER_PATH
from kvsync.spool import Spool
from kvsync.wire import MAX_PURGE_BYTES, PURGE_PATH, ErrorBody, read_body


def admin_app(edge: Edge, sites: Sites, fronts: Fronts, minutes: Spool) -> FastAPI:
    """The admin application of an edge that is ready: it is built last. ``minutes`` are those of
    all its workers."""
    app = FastAPI(title="Media rehydration: edge", openapi_url=None)

    @app.exception_handler(RehydrationError)
    async def tell(request: Request, error: RehydrationError) -> Response:
        return _json(ErrorBody.of(error), error.status)

    @app.exception_handler(HTTPException)
    async def no_route(request: Request, error: HTTPException) -> Response:
        reason = MethodNotAllowed.reason if error.status_code == 405 else BadRequest.reason
        told = ErrorBody(reason, f"{request.method} {request.url.path}: {error.detail}")
        return _json(told, error.status_code, dict(error.headers or {}))

    @app.get("/healthz")
    async def healthz() -> Response:
        return _json({"healthy": True})

    @app.get("/readyz")
    async def readyz() -> Response:
        cached = {"entries": len(edge.cache), "bytes": edge.cache.bytes_used}
        state = {"ready": True, "properties": sites.ids, "cache": cached}
        # Wrong files do not make an edge unready: those that were right are in force.
        return _json({**state, "properties_fault": sites.fault} if sites.fault else state)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(edge.counters.exposition(), media_type="text/plain; version=0.0.4")

    @app.get(LEDGER_PATH)
    def unconfirmed() -> Response:
        return hand_out(minutes)

    @app.post(LEDGER_PATH)
    async def taken(request: Request) -> Response:
        return _json({"dropped": await confirm(minutes, request)})

    @app.post(PURGE_PATH)
    async def drop(request: Request) -> Response:
        body = await read_body(request.stream(), MAX_PURGE_BYTES)
        return _json({"purged": await purge(edge, fronts, sites, EdgePurge.decode(body))})

    return app


def _json(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    kind = "application/problem+json" if status >= 400 else "application/json"
    return Response(msgspec.json.encode(body), status, headers, media_type=kind)
