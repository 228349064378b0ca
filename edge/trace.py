"""What ties one request's traces together across parts: its id, and the W3C trace context.

A client's own are passed on where they are well-formed; otherwise they begin here. Concurrent
misses share a fill, and what that asks of peers carries the names of the first.
"""

import re
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass

REQUEST_ID = "x-request-id"
TRACE_FIELDS = frozenset({REQUEST_ID, "traceparent", "tracestate"})
_ID = re.compile(r"[A-Za-z0-9._~+/=:@-]{1,128}")
# Trace Context level 1, section 3.2: later versions may add to the end, 255 is none.
_PARENT = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE_LIMIT = 512

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """``trace_id`` and ``flags`` are the W3C header's; the parent is always a new one of ours."""

    request_id: str
    trace_id: str
    flags: str
    state: str

    def onward(self) -> Fields:
        """The fields for a request to a peer; this hop is its parent."""
        parent = f"00-{self.trace_id}-{secrets.token_hex(8)}-{self.flags}"
        fields: Fields = ((REQUEST_ID, self.request_id), ("traceparent", parent))
        return (*fields, ("tracestate", self.state)) if self.state else fields


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def read_trace(fields: Mapping[str, str]) -> Trace:
    """The client's, where it is well-formed, else a new one; names in lower case."""
    said = fields.get(REQUEST_ID, "")
    request_id = said if _ID.fullmatch(said) else secrets.token_hex(8)
    parent = _PARENT.fullmatch(fields.get("traceparent", "").strip())
    if parent is None or _is_none(parent):
        return Trace(request_id, secrets.token_hex(16), "00", "")
    state = fields.get("tracestate", "")
    return Trace(request_id, parent[2], parent[4], state if len(state) <= _STATE_LIMIT else "")


def follow(trace: Trace) -> None:
    """What this task and those that it begins ask of peers belongs to ``trace``."""
    _current.set(trace)


def onward() -> Fields:
    """The fields for a request to a peer, of the trace that this task follows."""
    trace = _current.get()
    return trace.onward() if trace is not None else ()


def _is_none(parent: re.Match[str]) -> bool:
    """All-zero ids say that there is none; version 0 has nothing after the flags."""
    longer = parent[1] == "00" and parent[5] is not None
    return longer or not parent[2].strip("0") or not parent[3].strip("0")
