"""The origin over HTTP: originals, models, the shop. Never imports torch."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from sqlalchemy import text
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from kvsync.errors import BadRequest, MethodNotAllowed, RehydrationError
from kvsync.wire import BYTES, MSGPACK, PAYLOADS_PATH, ErrorBody
from origin.catalogue import Catalogue, read_catalogue
from origin.dashboard.policy import Deciding
from origin.database import Database
from origin.economics.chosen_books import named_book
from origin.ledger.intake import Ages, Ledger
from origin.ledger.routes import add_ledger_routes
from origin.model_store import ModelStore, open_models
from origin.originals import Originals
from origin.settings import OriginSettings
from origin.shop.pages import Shop
from origin.site import Site, site_of_path
from origin.sites import Sites
from origin.sync.metrics import LogMetrics
from origin.sync.originals import add_originals
from origin.sync.routes import add_log_routes, add_store_events
from origin.sync.service import LogService, open_log
from origin.sync.watch import Watcher


class Traffic:
    """Answers and body bytes by kind: image, original, model, payload, page, log, snapshot,
    digests, range."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._answers = Counter(
            "origin_answers", "Answers sent.", ("kind", "status"), registry=self.registry
        )
        self._bytes = Counter("origin_bytes", "Body bytes sent.", ("kind",), registry=self.registry)
        for kind in ("image", "model", "page"):
            self._bytes.labels(kind)

    def count(self, kind: str, status: int, size: int) -> None:
        self._answers.labels(kind, str(status)).inc()
        self._bytes.labels(kind).inc(size)


def create_app(settings: OriginSettings) -> FastAPI:
    """The application; :class:`kvsync.errors.InputError` when a setting cannot be met."""
    sites = Sites(settings)
    catalogues = {
        name: read_catalogue(folder) for name, folder in settings.galleries.items() if name in sites
    }
    database = Database(settings.database_url)

    log = open_log(settings, database)
    ages = Ages.in_days(settings.ledger_minutes_days, settings.ledger_hours_days)
    ledger = Ledger(database, ages)
    watcher = Watcher(database, sites, log.key, log.sealer.wake)
    deciding = Deciding(
        database, settings.properties_dir, named_book(settings.prices), settings.zone
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with log.running():
            if settings.dam_watch_s:
                log.start(watcher.run(settings.dam_watch_s))
            log.start(ledger.keep_house())
            if settings.decide_s:
                log.start(deciding.run(sites, settings.decide_s))
            yield
        database.close()

    app = FastAPI(title="Origin", lifespan=lifespan, openapi_url=None, redirect_slashes=False)
    app.add_exception_handler(RehydrationError, _say_what_is_wrong)
    app.add_exception_handler(HTTPException, _say_no_such_thing)
    traffic = Traffic()
    _add_operations(app, traffic, log, sites)
    add_log_routes(app, log, traffic.count)
    add_originals(app, log, sites, traffic.count)
    add_store_events(app, watcher, settings.dam_token.get_secret_value())
    add_ledger_routes(app, ledger, log)
    _add_models(app, traffic, open_models(settings, database))
    for name, catalogue in list(catalogues.items())[:1]:
        _add_shop(app, traffic, Shop(sites[name], catalogue))
    _add_originals(app, traffic, sites, catalogues, database)
    return app


def _add_operations(app: FastAPI, traffic: Traffic, log: LogService, sites: Sites) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> dict[str, str]:
        with log.database.reading() as session:
            session.execute(text("SELECT 1"))
        for site in sites.values():
            site.dam.check()
        log.check()
        # Without its log the origin still serves originals: that is no reason to take it away.
        return {"status": "ready", "log": "; ".join(log.sealer.faults.values()) or "sealed"}

    figures = LogMetrics(log, traffic.registry)

    @app.get("/metrics")
    async def metrics() -> Response:
        await figures.refresh()
        return Response(generate_latest(traffic.registry), media_type=CONTENT_TYPE_LATEST)


def _add_models(app: FastAPI, traffic: Traffic, models: ModelStore) -> None:
    @app.get("/v1/models/{digest}")
    def announcement(digest: str) -> Response:
        signed = models.announcement(digest)
        traffic.count("model", 200, len(signed))
        return Response(signed, media_type=MSGPACK)

    @app.get("/v1/models/{digest}/{path:path}")
    def file(digest: str, path: str) -> Response:
        found = models.open(digest, path)
        traffic.count("model", 200, found.size)
        # Sent as it is read: a file of weights may be larger than the memory.
        length = {"content-length": str(found.size)}
        return StreamingResponse(found.pieces, headers=length, media_type=BYTES)

    @app.get(PAYLOADS_PATH + "/{property}/{digest}")
    def payload(property: str, digest: str) -> Response:
        found = models.payloads.read(property, digest)
        traffic.count("payload", 200, len(found))
        return Response(found, media_type=BYTES)


def _add_shop(app: FastAPI, traffic: Traffic, shop: Shop) -> None:
    @app.api_route("/", methods=["GET", "HEAD"])
    @app.api_route("/_shop/{name}", methods=["GET", "HEAD"])
    def page(request: Request, name: str = "") -> Response:
        found = shop.page(name, request.headers.get("if-none-match"))
        sent = b"" if request.method == "HEAD" else found.body
        traffic.count("page", found.status, len(sent))
        return Response(sent, found.status, found.headers)


def _add_originals(
    app: FastAPI,
    traffic: Traffic,
    sites: Sites,
    catalogues: dict[str, Catalogue],
    database: Database,
) -> None:
    answering: dict[str, Originals] = {}

    def originals_of(site: Site) -> Originals:
        """Also of a property that was made since the start."""
        if site.id not in answering:
            families = catalogues[site.id].families if site.id in catalogues else {}
            answering[site.id] = Originals(site, families, database)
        return answering[site.id]

    @app.api_route("/{_path:path}", methods=["GET", "HEAD"])
    async def original(request: Request) -> Response:
        raw_path, raw_query = request.scope["raw_path"], request.scope["query_string"]
        one = originals_of(site_of_path(sites, raw_path))
        head = request.method == "HEAD"
        answer = await run_in_threadpool(
            one.answer, raw_path, raw_query, request.headers, head=head
        )
        traffic.count("image", answer.status, len(answer.body))
        return Response(answer.body, answer.status, answer.headers)


def _say_what_is_wrong(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RehydrationError)
    return _problem(ErrorBody.of(error), error.status)


def _say_no_such_thing(request: Request, error: Exception) -> Response:
    """What the router itself refuses: a method or a path that is not ours."""
    assert isinstance(error, HTTPException)
    detail = f"{request.method} {request.url.path}: {error.detail}"
    reason = MethodNotAllowed.reason if error.status_code == 405 else BadRequest.reason
    return _problem(ErrorBody(reason, detail), error.status_code, error.headers)


def _problem(body: ErrorBody, status: int, headers: Mapping[str, str] | None = None) -> Response:
    # An error is no asset: nobody on the way may keep it in the asset's place.
    sent = {**(headers or {}), "cache-control": "no-store"}
    return Response(msgspec.json.encode(body), status, sent, media_type="application/json")
