"""The operators' side of an edge: health, metrics, purges. For loopback or a private network."""

import msgspec
from fastapi import FastAPI, Request, Response

from edge.flow import Edge
from kvsync.errors import RehydrationError
from kvsync.wire import MAX_PURGE_BYTES, PURGE_PATH, ErrorBody, Purge, read_body


def admin_app(edge: Edge, properties: tuple[str, ...]) -> FastAPI:
    """The admin application of an edge that is ready: it is built last."""
    app = FastAPI(title="Media rehydration: edge", openapi_url=None)

    @app.exception_handler(RehydrationError)
    async def tell(request: Request, error: RehydrationError) -> Response:
        return _json(ErrorBody.of(error), error.status)

    @app.get("/healthz")
    async def healthz() -> Response:
        return _json({"healthy": True})

    @app.get("/readyz")
    async def readyz() -> Response:
        cached = {"entries": len(edge.cache), "bytes": edge.cache.bytes_used}
        return _json({"ready": True, "properties": properties, "cache": cached})

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(edge.counters.exposition(), media_type="text/plain; version=0.0.4")

    @app.post(PURGE_PATH)
    async def purge(request: Request) -> Response:
        body = await read_body(request.stream(), MAX_PURGE_BYTES)
        return _json({"purged": edge.purge(Purge.decode(body))})

    return app


def _json(body: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
