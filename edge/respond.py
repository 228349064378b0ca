"""The answer to a client, built from what was decided: status, headers, body. Pure.

``Cache-Status`` is RFC 9211, ``Server-Timing`` the W3C recommendation.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from edge.ask import ALLOWED_METHODS, Ask
from edge.decide import Forward, Outcome, Serve
from edge.freshness import vary_names
from edge.reply import Headers
from kvsync.conditional import http_date, not_modified
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
    body: bytes
    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class Travel:
    """How a request went: forwarded why, together with another's, kept, and the time (ms)."""

    forward: Forward | None = None
    collapsed: bool = False
    stored: bool = False
    timings: Timings = ()
    avoided_bytes: int | None = None


def respond(served: Serve, ask: Ask, travel: Travel, *, node: str, now: float) -> Answer:
    reply = served.reply
    headers = dict(reply.headers)
    status, body = reply.status, reply.body
    if ask.choice.negotiated and reply.is_image and "accept" not in vary_names(headers):
        headers["vary"] = f"{headers['vary']}, Accept" if "vary" in headers else "Accept"
    if status == 200 and not_modified(
        ask.conditions, headers.get("etag"), headers.get("last-modified")
    ):
        status, body = 304, b""
        headers = {name: v for name, v in headers.items() if name not in _ABOUT_THE_BODY}
    elif status not in (204, 304):
        headers["content-length"] = str(len(body))
    headers["age"] = str(max(0, int(now - reply.generated_at)))
    headers["cache-status"] = cache_status(node, served, travel, now)
    headers["server-timing"] = server_timing(travel)
    sent = b"" if ask.head else body
    repeated = [pair for pair in reply.headers if pair[0] == "set-cookie"][:-1]
    return Answer(
        status, encode([*headers.items(), *repeated]), sent, served.outcome, served.reason
    )


def cache_status(node: str, served: Serve, travel: Travel, now: float) -> str:
    reply = served.reply
    ttl = int(reply.fresh_until - now)
    if served.outcome == "hit":
        return f"{node}; hit; ttl={ttl}; detail={_item(reply.detail)}"
    if served.outcome == "stale":
        return f'{node}; hit; ttl={min(ttl, -1)}; detail="stale:{reply.source}"'
    return forwarded(node, travel, reply.detail, reply.status)


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
    headers: Headers, node: str, travel: Travel, status: int, reason: str
) -> list[tuple[bytes, bytes]]:
    status_line = forwarded(node, travel, f"origin:{reason}", status)
    return encode(
        [*headers, ("cache-status", status_line), ("server-timing", server_timing(travel))]
    )


def _item(detail: str) -> str:
    """A structured-field token where it is one, else a string (RFC 9651 section 3.3)."""
    return detail if _DETAIL_TOKEN.fullmatch(detail) else f'"{detail}"'
