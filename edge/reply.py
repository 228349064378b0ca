"""What peers answer, and the one form in which the edge keeps and serves it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from msgspec import structs

from edge.ask import Ask
from edge.rules.fields import end_to_end, joined, without
from edge.rules.keeping import (
    Custom,
    Exchange,
    Terms,
    initial_age,
    may_be_stale,
    policy_of,
)
from edge.rules.limits import limit_ages
from edge.rules.stored import Body, Cached, Fields, Source, Stored, head_of
from edge.rules.validation import freshened
from edge.rules.vary import selected, selecting_names
from kvsync.conditional import entity_tag, http_date
from kvsync.property import Property
from kvsync.record import Record
from kvsync.rendition import Still

# Said anew by the edge with each answer.
_SAID_ANEW = frozenset({"content-length", "age"})
# Of no concern to a shopper, or the edge's own to say of an image.
_NOT_OF_IMAGES = frozenset(
    "server via x-powered-by accept-ranges server-timing cache-status".split()
)


@dataclass(frozen=True, slots=True)
class Generated:
    """A region's answer: the approved image, its age, where the time went (ms), and whether it was
    made for this edge, not had already."""

    body: bytes
    age_s: float = 0.0
    timings: tuple[tuple[str, float], ...] = ()
    missed: bool = True


@dataclass(frozen=True, slots=True)
class Fetched:
    """The origin's whole answer to a GET; ``fields`` are as they came, names in lower case."""

    status: int
    fields: Fields
    body: bytes
    asked_at: float
    received_at: float


def rehydrated(
    site: Property,
    record: Record,
    rendition: Still,
    generated: Generated,
    *,
    now: float,
    stale_if_error_s: float,
) -> Cached:
    """An approved image in the clothes that its property gives its images."""
    changed = http_date(record.body.approval.approved_at)
    own: Fields = (("content-type", rendition.media_type), ("last-modified", changed))
    image = _Image(generated.body, now - generated.age_s, own)
    return _by_record("rehydrated", site, record, image, now=now, stale_if_error_s=stale_if_error_s)


def replicated(
    site: Property, record: Record, body: bytes, *, now: float, stale_if_error_s: float
) -> Cached:
    """The original that a record stands for, its own bytes, in the same clothes."""
    own = (("content-type", record.body.original.media_type),)
    image = _Image(body, now, own)
    return _by_record("replica", site, record, image, now=now, stale_if_error_s=stale_if_error_s)


@dataclass(frozen=True, slots=True)
class _Image:
    """Bytes, when they were made, and the fields that are theirs alone."""

    body: bytes
    born_at: float
    own: Fields


def _by_record(
    source: Source,
    site: Property,
    record: Record,
    image: _Image,
    *,
    now: float,
    stale_if_error_s: float,
) -> Cached:
    """Nothing downstream may keep it past the record's not-after. An edge that can ask neither
    store nor origin whether it was revoked stands in with it for ``stale_if_error_s`` at most."""
    body = record.body
    fresh_until = min(now + site.freshness_s, body.not_after)
    headers = site.image_headers(body.family, body.key.hex())
    said = headers.get("cache-control"), headers.get("cdn-cache-control")
    grace_s = stale_if_error_s if _may_be_stale(*said) else 0.0
    # Targeted fields end alike (RFC 9213 section 2.1); Surrogate-Control came before them.
    for name in [name for name in headers if name.endswith(("cache-control", "surrogate-control"))]:
        headers[name] = limit_ages(headers[name], body.not_after - image.born_at)
    tag = entity_tag(image.body)
    headers |= {"date": http_date(image.born_at), "etag": tag, **dict(image.own)}
    stored = Stored(
        status=200,
        head=head_of(_exposed(tuple(headers.items()))),
        source=source,
        reason="",
        born_at=image.born_at,
        fresh_until=fresh_until,
        revalidating_until=0.0,
        on_error_until=min(fresh_until + grace_s, body.not_after),
        length=len(image.body),
        etag=tag,
        last_modified=headers.get("last-modified"),
        negotiable=True,
        family=body.family,
    )
    return Cached(stored, image.body)


@lru_cache(maxsize=1024)
def _may_be_stale(cache_control: str | None, targeted: str | None) -> bool:
    """What a property's template says in these two fields: the same of most of its images."""
    said = (("cache-control", cache_control), ("cdn-cache-control", targeted))
    rules, _ = policy_of(tuple((name, value) for name, value in said if value is not None))
    return may_be_stale(rules)


def from_origin(told: Exchange, body: Body, reason: str, ask: Ask, kept: Terms | None) -> Cached:
    """The origin's answer with its end-to-end fields, ``kept`` on these terms or not at all."""
    shown = without(end_to_end(told.fields), _SAID_ANEW)
    if ask.choice is not None:
        shown = _exposed(without(shown, _NOT_OF_IMAGES))
    if joined(shown, "date") is None:
        shown += (("date", http_date(told.received_at)),)
    tag = joined(shown, "etag")
    own_tag = tag is None and told.status == 200 and ask.choice is not None
    if own_tag:
        tag = entity_tag(bytes(body))
        shown += (("etag", tag),)
    is_image = (joined(shown, "content-type") or "").startswith("image/")
    varies = selected(selecting_names(told.fields), ask.sends)
    if kept is None:
        age_s = initial_age(told.fields, told.asked_at, told.received_at)
        kept = Terms(told.received_at - age_s, 0.0, 0.0, 0.0)
    stored = Stored(
        status=told.status,
        head=head_of(shown),
        source="origin",
        reason=reason,
        born_at=kept.born_at,
        fresh_until=kept.fresh_until,
        revalidating_until=kept.revalidating_until,
        on_error_until=kept.on_error_until,
        length=len(body),
        etag=tag,
        last_modified=joined(shown, "last-modified"),
        vary=varies,
        negotiable=is_image and all(name != "accept" for name, _ in varies),
        own_tag=own_tag,
    )
    return Cached(stored, body)


def for_all(cached: Cached, left_out: frozenset[str]) -> Cached:
    """``cached`` without the fields that were for its first client only."""
    fields = without(cached.stored.fields, left_out)
    return Cached(structs.replace(cached.stored, head=head_of(fields)), cached.body)


def confirmed(stand_in: Cached, told: Exchange) -> Exchange:
    """What a 304 makes of the exchange that brought ``stand_in`` (RFC 9111 section 4.3.4)."""
    kept = stand_in.stored
    fields = freshened(without(kept.fields, ("etag",) if kept.own_tag else ()), told.fields)
    if joined(told.fields, "date") is None:
        fields = (*without(fields, ("date",)), ("date", http_date(told.received_at)))
    ages = tuple(field for field in told.fields if field[0] == "age")
    return replace(told, status=kept.status, fields=fields + ages)


def exchange(ask: Ask, fetched: Fetched) -> Exchange:
    """What the rules ask about. A Cookie is as good as an Authorization unless a property says
    that it is not."""
    cookie = "cookie" in ask.fields and not ask.site.caching.keeps_cookies
    return Exchange(
        method="GET",
        authorized=cookie or "authorization" in ask.fields,
        asks_no_store=ask.forbids("no-store"),
        status=fetched.status,
        fields=fetched.fields,
        asked_at=fetched.asked_at,
        received_at=fetched.received_at,
    )


def custom_of(site: Property, on_error_s: float) -> Custom:
    """What a property allows beyond what its origin says."""
    own = site.caching
    return Custom(
        heuristic_share=own.heuristic_share,
        negative_s=own.negative_s,
        on_error_s=on_error_s,
        keeps_cookies=own.keeps_cookies,
    )


def tags_of(stored: Stored, site: Property, key: bytes) -> frozenset[str]:
    """What a purge may call this answer: asset key in hex, property, those of the property that
    are right by their records, and the keys that it was given by Surrogate-Key (separated by
    spaces) or Cache-Tag (by commas)."""
    keys = (joined(stored.fields, "surrogate-key") or "").split()
    tags = (joined(stored.fields, "cache-tag") or "").split(",")
    if stored.by_record:
        keys.append(rehydrated_tag(site.id))
    return frozenset({key.hex(), site.id, *keys, *(tag.strip() for tag in tags if tag.strip())})


def rehydrated_tag(property: str) -> str:
    """The tag of all images of a property that are right by their records alone."""
    return f"{property}:rehydrated"


def _exposed(fields: Fields) -> Fields:
    """Where a page of another origin may read the image, it may read how it was made, too."""
    names: Mapping[str, str] = dict(fields)
    name = "access-control-expose-headers"
    if "access-control-allow-origin" not in names or name in names:
        return fields
    return (*fields, (name, "Cache-Status, Server-Timing"))
