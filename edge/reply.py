"""What peers answer, and the one form in which the edge keeps and serves it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from edge.freshness import (
    NOT_KEPT,
    Freshness,
    freshness,
    initial_age,
    limit_ages,
    vary_names,
)
from kvsync.conditional import entity_tag, http_date
from kvsync.property import Property
from kvsync.record import Record
from kvsync.rendition import Still

Source = Literal["rehydrated", "origin"]
Headers = tuple[tuple[str, str], ...]

# Connection-bound (RFC 9110 section 7.6.1), or said anew by the edge about its own answer.
_DROPPED = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    "transfer-encoding upgrade content-length age server via x-powered-by accept-ranges "
    "server-timing cache-status".split()
)


@dataclass(frozen=True, slots=True)
class Generated:
    """A region's answer: the approved image, its age, and where the time went (ms)."""

    body: bytes
    age_s: float = 0.0
    timings: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Fetched:
    """The origin's answer to a GET; ``body`` is None when it is over the limit for keeping.

    ``hauled_bytes`` is what was read of the body, whether it was kept or not.
    """

    status: int
    headers: Headers
    body: bytes | None
    hauled_bytes: int
    asked_at: float
    received_at: float


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """One complete answer, as it lies in the cache. Times are Unix seconds.

    ``reason`` says why it came from the origin. ``accept`` is the one ``Accept`` value that an
    answer fits whose origin varies on it; None when it fits everyone who gets this rendition.
    Past ``fresh_until`` and up to ``usable_until`` it may stand in for peers that are gone.
    """

    status: int
    headers: Headers
    source: Source
    reason: str
    generated_at: float
    fresh_until: float
    usable_until: float
    accept: str | None
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def is_image(self) -> bool:
        return (self.header("content-type") or "").startswith("image/")

    @property
    def detail(self) -> str:
        return self.source if self.source == "rehydrated" else f"origin:{self.reason}"


def rehydrated_reply(
    site: Property,
    record: Record,
    rendition: Still,
    generated: Generated,
    *,
    now: float,
    stale_if_error_s: float,
) -> Reply:
    """An approved image in the clothes that its property gives its images.

    Nothing downstream may keep it past the record's not-after. An edge that can ask neither store
    nor origin whether it was revoked stands in with it for ``stale_if_error_s`` at most.
    """
    body = record.body
    generated_at = now - generated.age_s
    fresh_until = min(now + site.freshness_s, body.not_after)
    headers = site.image_headers(body.family, body.key.hex())
    # Targeted fields end alike (RFC 9213 section 2.1); Surrogate-Control came before them.
    for name in [name for name in headers if name.endswith(("cache-control", "surrogate-control"))]:
        headers[name] = limit_ages(headers[name], body.not_after - generated_at)
    headers |= {
        "content-type": rendition.media_type,
        "date": http_date(generated_at),
        "last-modified": http_date(body.approval.approved_at),
        "etag": entity_tag(generated.body),
    }
    return Reply(
        status=200,
        headers=_exposed(headers),
        source="rehydrated",
        reason="",
        generated_at=generated_at,
        fresh_until=fresh_until,
        usable_until=min(fresh_until + stale_if_error_s, body.not_after),
        accept=None,
        body=generated.body,
    )


def origin_reply(
    fetched: Fetched, body: bytes, reason: str, *, accept: str, kept: Freshness
) -> Reply:
    """The origin's answer, its end-to-end headers as they are."""
    headers = end_to_end(fetched.headers)
    names = dict(headers)
    added = {"date": http_date(fetched.received_at)}
    if fetched.status == 200:
        added["etag"] = entity_tag(body)
    headers += tuple((name, value) for name, value in added.items() if name not in names)
    age_s = initial_age(
        dict(fetched.headers), asked_at=fetched.asked_at, received_at=fetched.received_at
    )
    return Reply(
        status=fetched.status,
        headers=_exposed(headers),
        source="origin",
        reason=reason,
        generated_at=fetched.received_at - age_s,
        fresh_until=kept.fresh_until,
        usable_until=kept.usable_until,
        accept=accept if "accept" in vary_names(names) else None,
        body=body,
    )


def origin_freshness(
    fetched: Fetched, *, stale_if_error_s: float, at_most_s: float | None
) -> Freshness:
    """How long the origin lets its answer be kept; ``at_most_s`` shortens a fall-back's time."""
    headers = dict(fetched.headers)
    age_s = initial_age(headers, asked_at=fetched.asked_at, received_at=fetched.received_at)
    kept = freshness(
        fetched.status,
        headers,
        received_at=fetched.received_at,
        age_s=age_s,
        stale_if_error_s=stale_if_error_s,
    )
    if at_most_s is None or kept == NOT_KEPT:
        return kept
    return Freshness(min(kept.fresh_until, fetched.received_at + at_most_s), kept.usable_until)


def end_to_end(headers: Headers) -> Headers:
    """Without what concerns one connection only, also what ``Connection`` names."""
    fields: Mapping[str, str] = dict(headers)
    named = {name.strip().lower() for name in fields.get("connection", "").split(",")}
    return tuple(
        (name, value) for name, value in headers if name not in _DROPPED and name not in named
    )


def tags_of(reply: Reply, site: Property, key: bytes) -> frozenset[str]:
    """What a purge may call this answer: asset key in hex, property, and its surrogate keys."""
    surrogate = (reply.header("surrogate-key") or "").split()
    return frozenset({key.hex(), site.id, *surrogate})


def _exposed(headers: Mapping[str, str] | Headers) -> Headers:
    """Where a page of another origin may read the image, it may read how it was made, too."""
    fields = dict(headers)
    pairs = tuple(headers.items()) if isinstance(headers, Mapping) else headers
    name = "access-control-expose-headers"
    if "access-control-allow-origin" not in fields or name in fields:
        return pairs
    return (*pairs, (name, "Cache-Status, Server-Timing"))
