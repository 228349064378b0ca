"""The dashboard's pages: savings, the rows behind them, statements, policy, prices."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse

from kvsync.errors import InputError
from kvsync.property import Ways
from origin.console.access import Asking
from origin.console.desk import NotHere
from origin.console.rendering import go, page
from origin.dashboard import policy as policies
from origin.dashboard.api import decide
from origin.dashboard.asked import RANGES, Asked
from origin.dashboard.every_figure import COLUMNS
from origin.dashboard.office import Office, asking
from origin.dashboard.replay import FREE, LOST
from origin.dashboard.row_words import ABOUT, on_a_page
from origin.dashboard.rows import (
    PAGE,
    SPANS,
    TABLES,
    Picked,
    as_csv,
    lines,
    only_those,
    page_of,
    span_named,
    sums_of,
    table_named,
)
from origin.dashboard.statement import statement
from origin.dashboard.view import FEW, all_figures, around, figures, policies_of, thirty_days
from origin.dashboard.ways import forecasts, lately
from origin.dashboard.what_if import what_if
from origin.economics.chosen_books import choose_book
from origin.economics.price_book import PRESETS, parse_price_book, preset
from origin.economics.what_if import Change
from origin.ledger.reading import Only
from origin.sync.ways import ways_of

_STATIC: Final = Path(__file__).parent / "static"
_FILES: Final = {
    "dashboard.css": "text/css; charset=utf-8",
    "dashboard.js": "text/javascript; charset=utf-8",
    "uplot.min.css": "text/css; charset=utf-8",
    "uplot.min.js": "text/javascript; charset=utf-8",
}


CSV: Final = "text/csv; charset=utf-8"
Span = Annotated[str, Query(max_length=10)]


def routes(office: Office) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    _add_savings(router, office)
    _add_rows(router, office)
    _add_policy(router, office)
    _add_prices(router, office)
    return router


def _add_savings(router: APIRouter, office: Office) -> None:
    about = Depends(asking(office))
    is_sample = office.desk.origin.sample_traffic

    @router.get("/dashboard/static/{name}")
    def dashboard_static(name: str) -> Response:
        if name not in _FILES:
            raise NotHere(f"there is no file {name[:40]!r}")
        headers = {"cache-control": "no-cache"}
        return FileResponse(_STATIC / name, media_type=_FILES[name], headers=headers)

    @router.get("/dashboard")
    def dashboard_page(request: Request, asked: Asked = about) -> Response:
        context = figures(office, asked)
        context |= around(office, asked, context)
        return page(request, "dashboard.html", is_sample=is_sample, **context)

    @router.get("/dashboard/figures")
    def dashboard_figures(
        request: Request,
        asked: Asked = about,
        seen: Annotated[str, Query(max_length=32)] = "",
    ) -> Response:
        """The live part, or nothing where it is as it was."""
        context = figures(office, asked)
        if seen == context["digest"]:
            return Response(status_code=204, headers={"cache-control": "no-store"})
        return page(request, "dashboard_figures.html", **context)

    @router.get("/dashboard/what-if")
    def what_if_part(
        request: Request,
        asked: Asked = about,
        per_gb: Annotated[float | None, Query(ge=0, le=1_000)] = None,
        device_per_hour: Annotated[float | None, Query(ge=0, le=10_000)] = None,
        machines: Annotated[float | None, Query(ge=0, le=10_000)] = None,
        hit_ratio: Annotated[float | None, Query(ge=0, le=1)] = None,
    ) -> Response:
        change = Change(per_gb, device_per_hour, machines, hit_ratio)
        found = what_if(office.reader, office.books(), asked, change)
        return page(request, "what_if.html", found=found, asked=asked)

    @router.get("/dashboard/statement")
    def statement_page(
        request: Request,
        month: Annotated[str, Query(max_length=7)] = "",
        property: Annotated[str, Query(max_length=80)] = "",
        region: Annotated[str, Query(max_length=80)] = "",
        zone: Annotated[str, Query(max_length=80)] = "",
    ) -> Response:
        context = statement(office, month, property, region, zone)
        return page(request, "statement.html", is_sample=is_sample, **context)


def _add_rows(router: APIRouter, office: Office) -> None:
    about, which = Depends(asking(office)), Depends(only_those)

    @router.get("/dashboard/figures.csv")
    def figures_csv(asked: Asked = about) -> Response:
        told = [msgspec.structs.astuple(one) for one in all_figures(office, asked)]
        headers = {"content-disposition": 'attachment; filename="figures.csv"'}
        return Response(lines([COLUMNS, *told]), media_type=CSV, headers=headers)

    @router.get("/dashboard/rows/{table}.csv")
    def rows_csv(table: str, asked: Asked = about, only: Only = which, span: Span = "") -> Response:
        picked = Picked(table_named(table), span_named(span, asked), asked, only)
        headers = {"content-disposition": f'attachment; filename="{table}.csv"'}
        text = as_csv(office.reader, picked)
        return StreamingResponse(text, media_type=CSV, headers=headers)

    @router.get("/dashboard/rows/{table}")
    def rows_page(
        request: Request,
        table: str,
        asked: Asked = about,
        only: Only = which,
        span: Span = "",
        skip: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    ) -> Response:
        picked = Picked(table_named(table), span_named(span, asked), asked, only)
        rows = page_of(office.reader, picked, skip)
        return page(
            request,
            "rows.html",
            name=table,
            tables=list(TABLES),
            spans=list(SPANS),
            span=next(name for name, length in SPANS.items() if length == picked.span_s),
            only=only,
            is_sample=office.desk.origin.sample_traffic,
            asked=asked,
            about=ABOUT[table],
            **on_a_page(picked, rows, sums_of(office.reader, picked)),
            next=skip + PAGE if len(rows) == PAGE else None,
        )


def _add_policy(router: APIRouter, office: Office) -> None:
    about = Depends(asking(office))
    desk = office.desk

    @router.get("/dashboard/policy")
    def policy_page(request: Request, asked: Asked = about) -> Response:
        found: dict[str, list[tuple[Any, Ways]]] = {}
        names = [asked.scope.property] if asked.scope.property else list(desk.sites)
        few = names[:FEW]
        books = office.books()
        counted = lately(office.reader, asked.now, asked.scope.property)
        for name in names:
            desk.site(name)
            chosen = ways_of(desk.database, desk.origin.properties_dir, name)
            ahead = forecasts(
                office.reader,
                books,
                name,
                asked.now,
                asked.today,
                exact=False,
                counted=counted,
            )
            found[name] = [(one, chosen.get(one.family, Ways())) for one in ahead]
        return page(
            request,
            "policy.html",
            found=found,
            asked=asked,
            ranges=RANGES,
            properties=sorted(desk.sites),
            past={name: policies_of(office, asked, name) for name in few},
            forecast_query=thirty_days(asked).query,
            free=FREE,
            lost=LOST,
            meanings=policies.MEANINGS,
            is_sample=desk.origin.sample_traffic,
        )

    @router.post("/dashboard/policy")
    def choose_policy(
        person: Asking,
        property: Annotated[str, Form(max_length=80)],
        family: Annotated[str, Form(max_length=80)],
        policy: Annotated[str, Form(max_length=20)],
    ) -> Response:
        changed = decide(office, property, family, policy, person.name)
        said = f"{property}/{family} is answered by the policy {policy}."
        return go("/dashboard/policy", said if changed else f"{said} It was before.")


def _add_prices(router: APIRouter, office: Office) -> None:
    desk = office.desk
    shipped = [preset(path.stem) for path in sorted(PRESETS.glob("*.toml"))]

    @router.get("/dashboard/prices")
    def prices_page(request: Request) -> Response:
        books = office.books()
        chosen = [
            (property, region, one)
            for (property, region), many in sorted(books.chosen.items())
            for one in many
        ]
        return page(
            request,
            "prices.html",
            chosen=[*(("", "", one) for one in books.settings), *chosen],
            shipped=shipped,
            properties=sorted(desk.sites),
            regions=office.regions(),
            today=office.ask().today,
            example=(PRESETS / "seed.toml").read_text(),
        )

    @router.post("/dashboard/prices")
    def choose_prices(
        person: Asking,
        since: Annotated[date, Form()],
        property: Annotated[str, Form(max_length=80)] = "",
        region: Annotated[str, Form(max_length=80)] = "",
        name: Annotated[str, Form(max_length=80)] = "",
        toml: Annotated[str, Form(max_length=20_000)] = "",
    ) -> Response:
        if property and property not in desk.sites:
            raise InputError(f"there is no property {property[:40]!r}")
        text = toml.replace("\r\n", "\n").encode("utf-8", "replace")
        book = preset(name) if name else parse_price_book(text, "the book below")
        with desk.database.writing() as session:
            choose_book(session, property, region, book, since, person.name, office.ask().today)
        return go("/dashboard/prices", f"The book {book.name} holds from {since} on.")
