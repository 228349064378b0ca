"""The regional service's HTTP: bodies in, answers and errors out, nothing decided here."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse

from kvsync.ending import end
from kvsync.errors import Busy, RehydrationError
from kvsync.handing_out import confirm, hand_out
from kvsync.ledger import LEDGER_PATH
from kvsync.record import MAX_SIGNED_BYTES
from kvsync.wire import (
    BYTES,
    MAX_HOLD_BYTES,
    MAX_PURGE_BYTES,
    MODELS_PATH,
    MSGPACK,
    PAYLOADS_PATH,
    PURGE_PATH,
    REHYDRATE_PATH,
    ErrorBody,
    Hold,
    PayloadList,
    Purge,
    RehydrateRequest,
    read_body,
)
from regional_gpu.service.metrics import CONTENT_TYPE
from regional_gpu.service.region import Answer, Region

MAX_REHYDRATE_BYTES = MAX_SIGNED_BYTES + 1_024
JSON = "application/json"

log = logging.getLogger("region")


def create_app(region: Region) -> FastAPI:
    """The service around ``region``, which starts and closes with it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Models may take long to load: the port answers meanwhile, /readyz says not yet.
        starting = asyncio.create_task(region.start())
        starting.add_done_callback(_report)
        counting = asyncio.create_task(region.ledger.minutes.keep_cutting())
        yield
        await end((starting, counting))
        await region.close()

    app = FastAPI(title="Regional service", lifespan=lifespan, docs_url=None, redoc_url=None)
    _add_work(app, region)
    _add_payloads(app, region)
    _add_state(app, region)
    _add_errors(app, region)
    return app


def _report(starting: asyncio.Task[None]) -> None:
    if not starting.cancelled() and (error := starting.exception()) is not None:
        log.critical("the region does not become ready: %s", error, exc_info=error)


def _add_work(app: FastAPI, region: Region) -> None:
    async def rehydrate(request: Request) -> Response:
        body = await read_body(request.stream(), MAX_REHYDRATE_BYTES)
        return _image(await region.rehydrate(RehydrateRequest.decode(body)))

    # Starlette's plain route: FastAPI's own looks at what there is none of here, for every image.
    app.add_route(REHYDRATE_PATH, rehydrate, methods=["POST"])

    @app.post(PURGE_PATH)
    async def purge(request: Request) -> Response:
        body = await read_body(request.stream(), MAX_PURGE_BYTES)
        return _json({"purged": region.purge(Purge.decode(body))})

    @app.post(MODELS_PATH + "/{property}/{digest}")
    async def hold(property: str, digest: str, request: Request) -> Response:
        """Have a model ready before a record that needs it becomes readable here."""
        sample = Hold.decode(await read_body(request.stream(), MAX_HOLD_BYTES))
        held = await region.hold(property, digest, sample)
        said = region.models.calibration.state(bytes.fromhex(digest))
        return _json({"model": digest, "held_bytes": held, "calibration": said})

    @app.delete(MODELS_PATH + "/{digest}")
    async def drop(digest: str) -> Response:
        """Let go of a model that no record points to."""
        return _json({"model": digest, "dropped": await region.drop(digest)})

    @app.get(MODELS_PATH + "/{digest}")
    def announcement(digest: str) -> Response:
        return Response(region.announcement(digest), media_type=MSGPACK)

    @app.get(MODELS_PATH + "/{digest}/{path:path}")
    def model_file(digest: str, path: str) -> Response:
        """A file of a model for another region, as the origin would send it."""
        return FileResponse(region.model_file(digest, path), media_type=BYTES)


def _add_payloads(app: FastAPI, region: Region) -> None:
    where = PAYLOADS_PATH + "/{property}"

    @app.post(where)
    async def change(property: str, request: Request) -> Response:
        """Have payloads here before records that name them become readable; drop others."""
        raw = await read_body(request.stream(), MAX_HOLD_BYTES)
        return _json(await region.change_payloads(property, PayloadList.decode(raw)))

    @app.get(where)
    def held(property: str) -> Response:
        return Response(region.held_payloads(property).encode(), media_type=MSGPACK)

    @app.get(where + "/{digest}")
    def payload(property: str, digest: str) -> Response:
        """A payload for another region, as the origin would send it."""
        return Response(region.payload(property, digest), media_type=BYTES)


def _add_state(app: FastAPI, region: Region) -> None:
    @app.get("/healthz")
    async def healthz() -> Response:
        return _json({"region": region.name})

    @app.get("/readyz")
    async def readyz() -> Response:
        body = {"ready": region.offers, "models": region.models.states()}
        return _json(body, status=200 if region.offers else 503)

    @app.get(LEDGER_PATH)
    def unconfirmed() -> Response:
        return hand_out(region.ledger.spool)

    @app.post(LEDGER_PATH)
    async def taken(request: Request) -> Response:
        return _json({"dropped": await confirm(region.ledger.spool, request)})

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(region.metrics.exposition(), media_type=CONTENT_TYPE)


def _add_errors(app: FastAPI, region: Region) -> None:
    @app.exception_handler(RehydrationError)
    async def refuse(request: Request, error: RehydrationError) -> Response:
        region.metrics.refused.labels(error.reason).inc()
        headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, Busy) else {}
        return _json(ErrorBody.of(error), status=error.status, headers=headers)

    @app.exception_handler(Exception)
    async def fail(request: Request, error: Exception) -> Response:
        # The server logs the traceback; the caller only needs to know that it is not its fault.
        region.metrics.refused.labels(RehydrationError.reason).inc()
        body = ErrorBody(RehydrationError.reason, "the region failed; its log says how")
        return _json(body, status=RehydrationError.status)

    @app.exception_handler(HTTPException)
    async def no_route(request: Request, error: HTTPException) -> Response:
        body = ErrorBody("bad-request", f"{request.method} {request.url.path}: {error.detail}")
        return _json(body, status=error.status_code, headers=dict(error.headers or {}))


def _image(answer: Answer) -> Response:
    stages = answer.stages if answer.cached else {**answer.stages, "device": answer.device_s}
    timing = ", ".join(f"{stage};dur={s * 1_000:.2f}" for stage, s in stages.items())
    headers = {
        "Age": str(max(0, int(time.time() - answer.image.generated_at))),
        "Server-Timing": timing,
        "Rendition-Cache": "hit" if answer.cached else "miss",
    }
    return Response(answer.image.data, headers=headers, media_type=answer.image.media_type)


def _json(body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, media_type=JSON)
