"""The answer to a client, built from what was decided: status, headers, body. Pure.

``Cache-Status`` is RFC 9211, ``Server-Timing`` the W3C recommendation.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import msgspec
from msgspec import Struct

from edge.ask import ALLOWED_METHODS, Ask
from edge.decide import Forward, Outcome, Serve
from edge.reply import tags_of
from edge.rules.fields import without
from edge.rules.ranges import part_of, range_applies
from edge.rules.stored import Body, Cached, Fields, Source, head_of
from edge.rules.validation import may_answer_304
from kvsync.conditional import http_date
from kvsync.errors import Busy, MethodNotAllowed, RehydrationError
from kvsync.wire import ErrorBody

Timings = tuple[tuple[str, float], ...]

_TIMING = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*;\s*dur=([0-9]+(?:\.[0-9]+)?)")
_WHOLE_IS_WANTED = frozenset({"if-none-match", "if-modified-since", "range"})
# More than proxies take in one field.
_MAX_TAGS_BYTES = 4096
_ABOUT_THE_BODY = frozenset({"content-type", "content-encoding", "content-language"})
_DETAIL_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~-]*")


class Answer(Struct, frozen=True, gc=False):
    """``head`` holds the field lines as they are sent, each ended by CRLF; ``body`` is what is
    sent: nothing for HEAD and 304."""

    status: int
    head: bytes
    body: Body
    outcome: Outcome
    reason: str
    family: str = ""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The same as ASGI wants it."""
        lines = self.head.split(b"\r\n")[:-1]
        return [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]


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
    family: str = ""


def respond(
    served: Serve, ask: Ask, travel: Travel, *, node: str, now: float, fronted: bool = False
) -> Answer:
    """``fronted``: a cache stands before this one, and is told what it needs to know."""
    stored = served.cached.stored
    status, body, head = _selected_part(served.cached, ask)
    lines = [head]
    if ask.choice is not None and ask.choice.negotiated and stored.negotiable:
        lines.append(b"vary: Accept\r\n")
    if status not in (204, 304):
        lines.append(b"content-length: %d\r\n" % len(body))
    told = cache_status(node, served, travel, now).encode("latin-1")
    age_s = max(0, int(now - stored.born_at))
    lines.append(b"age: %d\r\ncache-status: %b\r\n" % (age_s, told))
    lines.append(b"server-timing: %b\r\n" % server_timing(served, travel).encode("latin-1"))
    if fronted:
        lines.append(_for_fronts(served, ask, now))
    sent = b"" if ask.head else body
    return Answer(status, b"".join(lines), sent, served.outcome, served.reason, stored.family)


def _selected_part(cached: Cached, ask: Ask) -> tuple[int, Body, bytes]:
    """Status, body and field lines for the request's own conditions and range, in the order of
    RFC 9110 section 13.2.2."""
    stored, body = cached.stored, cached.body
    if _WHOLE_IS_WANTED.isdisjoint(ask.fields):
        return stored.status, body, stored.head
    by_date = ask.choice is None
    if may_answer_304(stored, ask.conditions, by_date=by_date):
        return 304, b"", head_of(without(stored.fields, _ABOUT_THE_BODY))
    if stored.status != 200 or ask.head or "range" not in ask.fields:
        return stored.status, body, stored.head
    part = part_of(stored.length, ask.fields["range"])
    if part is None or not range_applies(stored, ask.fields.get("if-range"), by_date=by_date):
        return stored.status, body, stored.head
    content_range = ("content-range", part.content_range)
    head = head_of((*without(stored.fields, ("content-range",)), content_range))
    if not part.satisfiable:
        return 416, b"", head
    return 206, memoryview(body)[part.start : part.stop], head


def _for_fronts(served: Serve, ask: Ask, now: float) -> bytes:
    """For how long it is fresh, how long after that it may be shown while it is fetched anew, and
    what a purge may call it; what is without that is not kept, as what is for one client only."""
    stored = served.cached.stored
    tags = " ".join(sorted(tags_of(stored, ask.site, ask.asset.key))).encode("latin-1", "replace")
    for_one = served.keep is not None and served.keep is not served.cached
    if for_one or len(tags) > _MAX_TAGS_BYTES:
        return b"x-accel-expires: 0\r\n"
    fresh_s = max(0, int(stored.fresh_until - now))
    grace_s = max(0, int(stored.revalidating_until - stored.fresh_until))
    told = b"x-accel-expires: %d\r\nx-edge-grace: %d\r\nx-edge-tags: %b\r\n"
    return told % (fresh_s, grace_s, tags)


def cache_status(node: str, served: Serve, travel: Travel, now: float) -> str:
    """The edge's own member of the list (RFC 9211)."""
    stored = served.cached.stored
    ttl = int(stored.fresh_until - now)
    detail = detail_of(stored.source, stored.reason)
    if served.outcome == "hit":
        return f"{node}; hit; ttl={ttl}; detail={detail}"
    if served.outcome == "stale":
        return f'{node}; hit; ttl={min(ttl, -1)}; detail="stale:{stored.source}"'
    return forwarded(node, travel, detail, travel.status or stored.status)


@cache
def detail_of(source: Source, reason: str) -> str:
    """Where it came from: a structured-field token where it is one, else a string (RFC 9651
    section 3.3)."""
    detail = f"origin:{reason}" if source == "origin" else source
    return detail if _DETAIL_TOKEN.fullmatch(detail) else f'"{detail}"'


def forwarded(node: str, travel: Travel, detail: str, status: int) -> str:
    """Cache-Status of a request that was not answered from this cache; ``detail`` as of
    :func:`detail_of`."""
    parts = [node, f"fwd={travel.forward}"]
    if status != 200:
        parts.append(f"fwd-status={status}")
    if travel.stored:
        parts.append("stored")
    if travel.collapsed:
        parts.append("collapsed")
    return "; ".join([*parts, f"detail={detail}"])


def server_timing(served: Serve, travel: Travel) -> str:
    """A hit takes no time that a browser could see: it is told what it was, the same each time."""
    return 'cache;desc="hit"' if served.outcome == "hit" else timing_of(travel)


def timing_of(travel: Travel) -> str:
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
    return Answer(error.status, head_of(headers.items()), sent, "error", error.reason)


def encode(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def streamed_headers(
    headers: Fields, node: str, travel: Travel, status: int, reason: str
) -> list[tuple[bytes, bytes]]:
    status_line = forwarded(node, travel, detail_of("origin", reason), status)
    return encode([*headers, ("cache-status", status_line), ("server-timing", timing_of(travel))])
