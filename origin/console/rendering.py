"""Pages: templates filled in, with what every page needs."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from origin.console.meanings import (
    colour_meaning,
    meaning,
    noise_meaning,
    why_doubted,
    worst_attribute,
    worst_metric,
)
from origin.console.permissions import NEEDED, allows
from origin.console.queue import one_line, size_of
from origin.console.sessions import Login
from origin.console.showing import MANY
from origin.dashboard import words
from origin.dashboard.behind import grain_of, parts_behind
from origin.dashboard.telling import least_of

_FOLDER: Final = Path(__file__).parent
_DASHBOARD: Final = _FOLDER.parent / "dashboard"
STATIC: Final = _FOLDER / "static"
SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


def page(request: Request, template: str, status: int = 200, /, **context: Any) -> Response:
    """A page, or a part of one, for the person who asks; nobody on the way may keep it."""
    login: Login | None = getattr(request.state, "login", None)
    person = login.person if login else None

    def may(route: str) -> bool:
        return person is not None and allows(person.role, NEEDED[route])

    html = _environment.get_template(template).render(
        person=person,
        csrf=login.csrf if login else "",
        may=may,
        at=request.url.path,
        said=request.query_params.get("said", "")[:300],
        **context,
    )
    return HTMLResponse(html, status, headers={"cache-control": "no-store"})


def go(where: str, said: str = "") -> Response:
    """On to another page after a write, with what was done said at its top."""
    if said:
        where += ("&" if "?" in where else "?") + urlencode({"said": said})
    return RedirectResponse(where, 303)


def moment(seconds: int | None) -> str:
    if seconds is None:
        return "–"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _many(count: int) -> str:
    return f"{MANY}+" if count > MANY else str(count)


def _details(detail: Mapping[str, Any]) -> str:
    """What the audit has of an act in words; what is empty is left out."""
    told = (
        (name.replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list) else value)
        for name, value in detail.items()
        if value not in ("", None, [], {})
    )
    return ", ".join(f"{name} {value}" for name, value in told)


def _capital(words: str) -> str:
    """As a sentence begins."""
    return words[:1].upper() + words[1:]


def _breakable(name: str) -> Markup:
    """A file's name that may go on in the next line after an underscore or a dash."""
    plain = str(escape(name))
    return Markup(plain.replace("_", "_<wbr>").replace("-", "-<wbr>"))


def _ago(seconds: int | None) -> str:
    if seconds is None:
        return "never"
    past = max(0, int(time.time()) - seconds)
    for length, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if past >= length:
            count = past // length
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def _query(values: Mapping[str, Any], **other: Any) -> str:
    """A query string of what is set."""
    return urlencode(
        {k: v for k, v in {**values, **other}.items() if v not in ("", None)}, doseq=True
    )


def _open() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(
            [
                _FOLDER / "templates",
                _DASHBOARD / "templates",
                _FOLDER.parent / "analysis" / "templates",
            ]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        bytes=words.size,
        many=_many,
        breakable=_breakable,
        capital=_capital,
        details=_details,
        moment=moment,
        ago=_ago,
        meaning=meaning,
        colour_meaning=colour_meaning,
        noise_meaning=noise_meaning,
        why_doubted=why_doubted,
        worst_attribute=worst_attribute,
        worst_metric=worst_metric,
    )
    environment.filters.update(
        money=words.money,
        share=words.share,
        count=words.count,
        wait=words.seconds,
        span=words.span,
        figure=words.figure,
        day=words.day,
    )
    environment.globals.update(
        query=_query,
        grain=words.grain,
        grain_of=grain_of,
        least_of=least_of,
        parts_behind=parts_behind,
        one_line=one_line,
        size_of=size_of,
    )
    return environment


_environment: Final = _open()
