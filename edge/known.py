"""Requests that were read before, by their bytes, and what was said to each of them last."""

import sys

from msgspec import Struct
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from edge.access_log import About
from edge.ask import Ask
from edge.respond import Answer
from edge.rules.stored import Cached, Stored
from edge.tally import Tally

# uvicorn knows the registered statuses; an origin may use any of three digits.
for _status in range(600, 1000):
    STATUS_LINE.setdefault(_status, b"HTTP/1.1 %d \r\n" % _status)

# Longer requests, and answers with longer heads, are made anew each time: no browser's are.
_MOST_RAW_BYTES = 8 << 10
_MOST_HEAD_BYTES = 8 << 10
# What one takes beyond its request's bytes and its answer's, and for each field of the request:
# measured, rounded up.
_ENTRY_BYTES = 3 << 10
_FIELD_BYTES = 256
# Of the answer there are the head as stored, the head as sent, and the line in the log.
_COPIES = 3


class Said(Struct, frozen=True, gc=False):
    """What was answered to a request with a stored response: the same to the byte for as long as
    that is what is stored and neither Age nor the time to live, in whole seconds, has moved on.

    ``head`` is all that goes before the body, of which ``length`` bytes are sent: the stored one,
    or none. ``about`` is for the log.
    """

    stored: Stored
    head: bytes
    length: int
    since: float
    until: float
    tally: Tally
    about: bytes

    def holds(self, cached: Cached, now: float) -> bool:
        return cached.stored is self.stored and self.since <= now < self.until


class Known:
    """A request as it was read, and what was said to it last. It holds on to no body."""

    __slots__ = ("_room", "ask", "said", "target")

    def __init__(self, ask: Ask, target: bytes) -> None:
        self.ask = ask
        self.target = target
        self.said: Said | None = None
        self._room = sys.maxsize

    def keep(self, said: Said) -> None:
        """Remember an answer with no body of its own, unless it takes more than was set aside."""
        self.said = said if len(said.head) <= self._room else None

    def set_aside(self) -> int:
        """How many bytes of memory it takes from now on, at most."""
        head = min(len(self.said.head) + 64, _MOST_HEAD_BYTES) if self.said else 0
        self._room = head
        fields = sum(len(name) + len(value) for name, value in self.ask.fields.items())
        asked = 2 * (len(self.target) + fields) + _FIELD_BYTES * len(self.ask.fields)
        return _ENTRY_BYTES + asked + _COPIES * head


class KnownRequests:
    """Those read lately, in at most ``most_bytes`` of memory.

    They lie in two generations: when the younger has half the bytes it becomes the older, and
    those of the older that nobody asked again are forgotten.
    """

    def __init__(self, most_bytes: int) -> None:
        self._half = most_bytes // 2
        self.clear()

    def clear(self) -> None:
        self._young: dict[bytes, Known] = {}
        self._old: dict[bytes, Known] = {}
        self._young_bytes = 0

    def get(self, raw: bytes) -> Known | None:
        known = self._young.get(raw)
        if known is None and raw in self._old:
            known = self._old.pop(raw)
            self.put(raw, known)
        return known

    def put(self, raw: bytes, known: Known) -> None:
        """``raw`` is all of the request and nothing else."""
        if len(raw) > _MOST_RAW_BYTES or raw in self._young:
            return
        self._young_bytes += len(raw) + known.set_aside()
        self._young[raw] = known
        if self._young_bytes > self._half:
            self._old, self._young = self._young, {}
            self._young_bytes = 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


def said(known: Known, answer: Answer, stored: Stored, now: float, tally: Tally) -> Said:
    """``answer``, given at ``now`` with what is ``stored``, as it is sent and told of."""
    ask = known.ask
    about = About(
        method=ask.method,
        host=ask.host,
        target=known.target.decode("latin-1"),
        status=answer.status,
        body_bytes=len(answer.body),
        property=ask.site.id,
        outcome=answer.outcome,
        reason=answer.reason,
        agent=ask.fields.get("user-agent", ""),
        # Nothing is asked of peers, so that there is a trace only where the client began one.
        request_id=ask.fields.get("x-request-id", "")[:128],
        trace_id=ask.fields.get("traceparent", "")[3:35],
    )
    age_ends = stored.born_at + max(0, int(now - stored.born_at)) + 1
    ttl_ends = stored.fresh_until - int(stored.fresh_until - now)
    return Said(
        stored=stored,
        head=b"%b%b\r\n" % (STATUS_LINE[answer.status], answer.head),
        length=len(answer.body),
        since=now,
        until=min(age_ends, ttl_ends),
        tally=tally,
        about=about.encoded(),
    )
