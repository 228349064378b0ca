"""The console's application: pages and API over one desk, behind one guard."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import msgspec
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
)
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kvsync.errors import BadRequest, Busy, InputError, ModelError, RehydrationError
from origin.analysis import pages as hit_list
from origin.console import api
from origin.console.access import SeeOther, guard, is_api, login_of
from origin.console.desk import Desk, NotHere
from origin.console.drawing import Drawing
from origin.console.jobs import Jobs
from origin.console.pages import (
    audit,
    entry,
    home,
    live,
    originals,
    people,
    properties,
    quality,
    sets,
)
from origin.console.permissions import check_table
from origin.console.prompt_sets.reading import MAX_BYTES
from origin.console.rendering import SECURITY_HEADERS, STATIC, page
from origin.console.sessions import NotLoggedIn
from origin.dashboard.routes import routers as dashboard

MAX_FORM_BYTES = MAX_BYTES + (1 << 20)
_STATIC = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
}


def create_app(desk: Desk, jobs: Jobs, drawing: Drawing) -> FastAPI:
    """:class:`kvsync.errors.InputError` when a route and the permissions disagree."""
    app = FastAPI(
        title="Media rehydration: console",
        description="What the console's pages do, for programs: prompt sets, quality, publishing.",
        version="1",
        openapi_url=None,
        dependencies=[Depends(guard(desk))],
    )
    for handled in (RehydrationError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(handled, _answering(desk))
    _add_static(app)
    parts = routers(desk, jobs, drawing)
    for part in parts:
        app.include_router(part)
    _add_openapi(app)
    own = (app.router, *parts)
    check_table(one.name for part in own for one in part.routes if isinstance(one, APIRoute))
    app.add_middleware(_Boundaries)
    return app


def routers(desk: Desk, jobs: Jobs, drawing: Drawing) -> tuple[APIRouter, ...]:
    """Every page and the API, by subject."""
    return (
        entry.routes(desk),
        home.routes(desk),
        sets.routes(desk, jobs),
        quality.routes(desk, drawing),
        live.routes(desk),
        properties.routes(desk),
        originals.routes(desk),
        audit.routes(desk),
        people.routes(desk),
        api.routes(desk, jobs),
        *dashboard(desk),
        hit_list.routes(desk),
    )


def _add_static(app: FastAPI) -> None:
    @app.get("/static/{name}", include_in_schema=False)
    def static(name: str) -> Response:
        if name not in _STATIC:
            raise NotHere(f"there is no file {name[:40]!r}")
        headers = {"cache-control": "no-cache"}
        return FileResponse(STATIC / name, media_type=_STATIC[name], headers=headers)

    @app.get("/healthz", include_in_schema=False)
    def healthz() -> dict[str, str]:
        return {"status": "ok"}


def _add_openapi(app: FastAPI) -> None:
    @app.get("/api/v1/openapi.json", include_in_schema=False)
    def openapi() -> JSONResponse:
        return JSONResponse(app.openapi())


def _answering(desk: Desk) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        # At an address that there is not no guard stands, who would have looked who asks.
        if isinstance(error, HTTPException) and not hasattr(request.state, "login"):
            with suppress(NotLoggedIn):
                request.state.login = await login_of(desk, request)
        return await _answer_error(request, error)

    return answer


async def _answer_error(request: Request, error: Exception) -> Response:
    """problem+json (RFC 9457) for programs, a page or a line of one for people."""
    if isinstance(error, SeeOther):
        if "hx-request" in request.headers:
            return Response(status_code=200, headers={"hx-redirect": error.where})
        return RedirectResponse(error.where, 303)
    status, title, detail, headers = _described(error)
    if is_api(request):
        return _problem(status, title, detail, headers)
    part = "error_line.html" if "hx-request" in request.headers else "error.html"
    answer = page(request, part, status, status=status, detail=detail)
    answer.headers.update(headers)
    return answer


def _problem(
    status: int, title: str, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    media_type = "application/problem+json"
    return Response(msgspec.json.encode(problem), status, headers, media_type=media_type)


def _described(error: Exception) -> tuple[int, str, str, dict[str, str]]:
    """Status, title, detail and headers."""
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return 422, BadRequest.reason, f"{where}: {_in_short(first['msg'])}", {}
    if isinstance(error, HTTPException):
        detail = "there is no such page" if error.status_code == 404 else str(error.detail)
        return error.status_code, "request", detail, dict(error.headers or {})
    if not isinstance(error, RehydrationError):
        # The server writes the whole of it to its log.
        return 500, "console", "a fault of the console's own; what it was is in its log", {}
    wait = {"retry-after": str(error.retry_after_s)} if isinstance(error, Busy) else {}
    # A person's input is theirs to mend, whatever it would be called on the command line.
    theirs = isinstance(error, InputError) and not isinstance(error, ModelError)
    return 422 if theirs else error.status, error.reason, str(error), wait


def _in_short(message: str) -> str:
    """What a value should be, without how it was tried to read it."""
    return message.removeprefix("Input ").partition(", ")[0]


class _Boundaries:
    """No body larger than a prompt set's, and the headers that keep browsers in line."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if refused := _refuse_size(dict(scope["headers"])):
            status, why = refused
            program = scope["path"].startswith("/api/")
            answer = _problem(status, "size", why) if program else PlainTextResponse(why, status)
            await answer(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(k.encode(), v.encode()) for k, v in SECURITY_HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self._app(scope, receive, with_headers)


def _refuse_size(headers: Mapping[bytes, bytes]) -> tuple[int, str] | None:
    """Status and reason, for a body that may be larger than any that is taken."""
    length = headers.get(b"content-length", b"0")
    if b"transfer-encoding" in headers:
        return 411, "send a Content-Length"
    if not length.isdigit() or int(length) > MAX_FORM_BYTES:
        return 413, f"at most {MAX_FORM_BYTES} bytes"
    return None
