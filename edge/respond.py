"""The answer to a client, built from what was decided: status, headers, body. Pure.

``Cache-Status`` is RFC 9211, ``Server-Timing`` the W3C recommendation.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from edge.ask import ALLOWED_METHODS, Ask
from edge.decide import Forward, Outcome, Serve
from edge.rules.ranges import part_of, range_applies
from edge.rules.stored import Body, Cached, Fields, Stored
from edge.rules.validation import may_answer_304
from kvsync.conditional import http_date
from kvsync.errors import Busy, MethodNotAllowed, RehydrationError
from kvsync.wire import ErrorBody

Timings = tuple[tuple[str, float], ...]

_TIMING = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*;\s*dur=([0-9]+(?:\.[0-9]+)?)")
_ABOUT_THE_BODY = frozenset({"content-type", "content-encoding", "content-language"})
_DETAIL_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~-]*")


@dataclass(frozen=True, slots=True)
class Answer:
    """``body`` is what is sent: nothing for HEAD and 304."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: Body
    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class Travel:
    """How a request went: forwarded why and answered with which status, together with another's,
    kept, and the time (ms)."""

    forward: Forward | None = None
    status: int = 0
    collapsed: bool = False
    stored: bool = False
    timings: Timings = ()
    avoided_bytes: int | None = None


def respond(served: Serve, ask: Ask, travel: Travel, *, node: str, now: float) -> Answer:
    stored = served.cached.stored
    status, body, fields = _selected_part(served.cached, ask)
    if ask.choice is not None and ask.choice.negotiated and stored.negotiable:
        fields.append(("vary", "Accept"))
    if status not in (204, 304):
        fields.append(("content-length", str(len(body))))
    fields.append(("age", str(max(0, int(now - stored.born_at)))))
    fields.append(("cache-status", cache_status(node, served, travel, now)))
    fields.append(("server-timing", server_timing(travel)))
    sent = b"" if ask.head else body
    return Answer(status, encode(fields), sent, served.outcome, served.reason)


def _selected_part(cached: Cached, ask: Ask) -> tuple[int, Body, list[tuple[str, str]]]:
    """Status, body and fields for the request's own conditions and range, in the order of
    RFC 9110 section 13.2.2."""
    stored, body = cached.stored, cached.body
    fields = list(stored.fields)
    by_date = ask.choice is None
    if may_answer_304(stored, ask.conditions, by_date=by_date):
        return 304, b"", [field for field in fields if field[0] not in _ABOUT_THE_BODY]
    if stored.status != 200 or ask.head or "range" not in ask.fields:
        return stored.status, body, fields
    part = part_of(stored.length, ask.fields["range"])
    if part is None or not range_applies(stored, ask.fields.get("if-range"), by_date=by_date):
        return stored.status, body, fields
    fields = [field for field in fields if field[0] != "content-range"]
    fields.append(("content-range", part.content_range))
    if not part.satisfiable:
        return 416, b"", fields
    return 206, memoryview(body)[part.start : part.stop], fields


def cache_status(node: str, served: Serve, travel: Travel, now: float) -> str:
    """The edge's own member of the list (RFC 9211)."""
    stored = served.cached.stored
    ttl = int(stored.fresh_until - now)
    detail = _detail(stored)
    if served.outcome == "hit":
        return f"{node}; hit; ttl={ttl}; detail={_item(detail)}"
    if served.outcome == "stale":
        return f'{node}; hit; ttl={min(ttl, -1)}; detail="stale:{stored.source}"'
    return forwarded(node, travel, detail, travel.status or stored.status)


def _detail(stored: Stored) -> str:
    return stored.source if stored.source == "rehydrated" else f"origin:{stored.reason}"


def forwarded(node: str, travel: Travel, detail: str, status: int) -> str:
    """Cache-Status of a request that was not answered from this cache."""
    parts = [node, f"fwd={travel.forward}"]
    if status != 200:
        parts.append(f"fwd-status={status}")
    if travel.stored:
        parts.append("stored")
    if travel.collapsed:
        parts.append("collapsed")
    return "; ".join([*parts, f"detail={_item(detail)}"])


def server_timing(travel: Travel) -> str:
    entries = [f"{name};dur={ms:.2f}" for name, ms in travel.timings]
    if travel.avoided_bytes is not None:
        entries.append(f'avoided;desc="{travel.avoided_bytes}"')
    return ", ".join(entries)


def parse_server_timing(value: str) -> Timings:
    """Names and durations (ms); entries without a duration are left out."""
    return tuple((match[1], float(match[2])) for match in _TIMING.finditer(value))


def respond_error(
    error: RehydrationError, *, head: bool, closing: bool, node: str, now: float
) -> Answer:
    """The one form of every error: its status, and a body that says what to do."""
    body = msgspec.json.encode(ErrorBody.of(error))
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "cache-control": "no-store",
        "date": http_date(now),
        "cache-status": f'{node}; detail="error:{error.reason}"',
    }
    if closing:
        headers["connection"] = "close"
    if isinstance(error, MethodNotAllowed):
        headers["allow"] = ", ".join(ALLOWED_METHODS)
    if isinstance(error, Busy):
        headers["retry-after"] = str(error.retry_after_s)
    sent = b"" if head else body
    return Answer(error.status, encode(headers.items()), sent, "error", error.reason)


def encode(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def streamed_headers(
    headers: Fields, node: str, travel: Travel, status: int, reason: str
) -> list[tuple[bytes, bytes]]:
    status_line = forwarded(node, travel, f"origin:{reason}", status)
    return encode(
        [*headers, ("cache-status", status_line), ("server-timing", server_timing(travel))]
    )


def _item(detail: str) -> str:
    """A structured-field token where it is one, else a string (RFC 9651 section 3.3)."""
    return detail if _DETAIL_TOKEN.fullmatch(detail) else f'"{detail}"'
