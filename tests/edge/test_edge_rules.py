"""The pure rules: negotiation, freshness, conditions, the breaker, what follows what."""

import re
from email.utils import formatdate
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.ask import Ask, read_ask
from edge.breaker import Breaker, Rules, State
from edge.decide import (
    AskOrigin,
    AskStore,
    Fail,
    Serve,
    Stream,
    after_cache,
    after_store,
    may_stand_in,
)
from edge.negotiate import choose, clamp_width, nearest_quality, negotiated_format
from edge.respond import Travel, cache_status, parse_server_timing, respond
from edge.rules.limits import limit_ages
from edge.rules.stored import Cached, Source, Stored
from kvsync.conditional import Conditions, entity_tag, not_modified
from kvsync.errors import BadRequest, BadSignature, RevokedRecord
from kvsync.property import Property, read_property
from kvsync.rendition import FormatRule, RenditionRules
from tests.edge.world import PROPERTY_FILE

RULES = RenditionRules(
    widths=(256, 512, 768),
    qualities=(50, 70, 90),
    encode_budget_ms=50,
    formats=(
        FormatRule("avif", 85, score=88, encode_ms=40, score_goal=85),
        FormatRule("webp", 95, score=86, encode_ms=38, score_goal=85),
        FormatRule("jpeg", 92, score=88, encode_ms=2, score_goal=87),
    ),
)
CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
NOW = 1_760_000_000.0
SITE = read_property(PROPERTY_FILE)
PLAIN = Property(id="plain", hosts=("localhost",), pass_through=True)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (CHROME, "avif"),
        ("image/webp,*/*", "webp"),
        ("IMAGE/WEBP ; Q=0.9", "webp"),
        ("", "jpeg"),
        ("*/*", "jpeg"),
        ("image/*", "jpeg"),
        ("text/html", "jpeg"),
        ("image/avif;q=0, image/webp", "webp"),
        ("image/avif;q=0", "jpeg"),
        ("image/avif;q=0.1, image/webp;q=0.9", "webp"),
        ("image/avif;q=0.5, image/jpeg", "jpeg"),
        ("image/avif;q=0.5, */*;q=0.8", "jpeg"),
        ("image/avif;q=2, image/webp;q=nan", "jpeg"),
        ("image/jpeg;q=0, */*", "jpeg"),
        (",;,=;q", "jpeg"),
    ],
)
def test_accept_chooses_a_format(accept: str, expected: str) -> None:
    assert negotiated_format(RULES, accept).format == expected


def test_a_format_beyond_its_budget_is_not_negotiated_but_may_be_named() -> None:
    slow = RenditionRules(RULES.widths, RULES.qualities, 20, RULES.formats)
    assert negotiated_format(slow, CHROME).format == "jpeg"
    assert choose(slow, {"format": "avif"}, "").rendition.format == "avif"
    with pytest.raises(BadRequest, match="'bmp' is not delivered here"):
        choose(slow, {"format": "bmp"}, "")


@given(st.text(max_size=80), st.dictionaries(st.sampled_from(["width", "quality"]), st.text()))
def test_a_choice_is_of_the_closed_set_or_refused(accept: str, asked: dict[str, str]) -> None:
    try:
        form = choose(RULES, asked, accept).rendition
    except BadRequest:
        assert any(not re.fullmatch(r"[0-9]{1,9}", text) for text in asked.values())
        return
    assert form.width in RULES.widths
    assert form.quality in {*RULES.qualities, *(rule.quality for rule in RULES.formats)}


@given(st.integers(0, 2000))
def test_widths_round_up_and_qualities_to_the_nearest(asked: int) -> None:
    width = clamp_width(RULES, asked)
    assert width == 768 if asked > 512 else asked <= width <= asked + 256
    nearest = nearest_quality(RULES, asked)
    assert all(abs(nearest - asked) <= abs(other - asked) for other in RULES.qualities)


def test_downstream_ages_are_limited() -> None:
    assert (
        limit_ages("public, max-age=3600, s-maxage=10", 60.9) == "public, max-age=60, s-maxage=10"
    )
    assert limit_ages("max-age=3600", -1) == "max-age=0"
    graceful = "max-age=60, stale-while-revalidate=90, stale-if-error=10"
    assert limit_ages(graceful, 100) == "max-age=60, stale-while-revalidate=40, stale-if-error=10"


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (Conditions('"a"'), True),
        (Conditions('W/"a"'), True),
        (Conditions('"b", "a"'), True),
        (Conditions("*"), True),
        (Conditions('"b"'), False),
        (Conditions("a"), False),
        (Conditions('"b"', formatdate(NOW, usegmt=True)), False),
        (Conditions(None, formatdate(NOW, usegmt=True)), True),
        (Conditions(None, formatdate(NOW - 1, usegmt=True)), False),
        (Conditions(None, "yesterday"), False),
        (Conditions(), False),
    ],
)
def test_conditions_are_weighed(conditions: Conditions, expected: bool) -> None:
    assert not_modified(conditions, '"a"', formatdate(NOW, usegmt=True)) is expected


def test_an_entity_tag_is_of_the_bytes() -> None:
    assert entity_tag(b"one") != entity_tag(b"two")
    assert entity_tag(b"") == '"e3b0c44298fc1c149afbf4c8996fb924"'


def test_a_breaker_opens_rests_probes_and_closes() -> None:
    breaker = Breaker(Rules(failures_to_open=2, rest_s=5.0))
    breaker = breaker.failed(0.0)
    assert breaker.state(0.0) is State.CLOSED
    breaker = breaker.failed(1.0)
    assert breaker.admit(5.9) == (breaker, False)
    breaker, probe = breaker.admit(6.0)
    _, second = breaker.admit(6.1)
    assert probe and not second and breaker.state(6.1) is State.HALF_OPEN
    assert breaker.failed(6.2).state(6.3) is State.OPEN
    assert breaker.succeeded().state(6.3) is State.CLOSED
    assert breaker.admit(11.1)[1], "a probe that never came back is replaced"


@given(st.lists(st.sampled_from(["ok", "fail", "wait"]), max_size=40))
def test_a_breaker_always_recovers(events: list[str]) -> None:
    breaker, now = Breaker(Rules(failures_to_open=3, rest_s=1.0)), 0.0
    for event in events:
        now += 0.3
        breaker, admitted = breaker.admit(now)
        if admitted and event != "wait":
            breaker = breaker.succeeded() if event == "ok" else breaker.failed(now)
    breaker, admitted = breaker.admit(now + 1.1)
    assert admitted


def kept(source: Source = "rehydrated", fresh_s: float = 60, **changed: Any) -> Cached:
    stored = Stored(
        status=200,
        head=b"content-type: image/jpeg\r\n",
        source=source,
        reason="" if source == "rehydrated" else "no-record",
        born_at=NOW,
        fresh_until=NOW + fresh_s,
        revalidating_until=0.0,
        on_error_until=NOW + 1000,
        length=1,
    )
    return Cached(msgspec.structs.replace(stored, **changed), b"x")


def ask(method: str = "GET", site: Property = SITE, **fields: str) -> Ask:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    by_host = {"localhost": site}
    return read_ask(method, b"/a.jpg", [(b"host", b"localhost"), *named], by_host)


def test_after_the_cache() -> None:
    assert after_cache(None, ask(), NOW) == AskStore("uri-miss")
    assert after_cache(None, ask(), NOW, others=True) == AskStore("vary-miss")
    assert after_cache(kept(), ask(), NOW) == Serve(kept(), "hit", "")
    assert after_cache(kept(fresh_s=0), ask(), NOW) == AskStore("stale", kept(fresh_s=0))
    reviving = kept(fresh_s=0, revalidating_until=NOW + 1)
    again = Serve(reviving, "stale", "revalidating", refresh=True)
    assert after_cache(reviving, ask(), NOW) == again


def test_only_if_cached_means_it() -> None:
    only = ask(cache_control="only-if-cached")
    assert isinstance(after_cache(kept(), only, NOW), Serve)
    assert isinstance(after_cache(None, only, NOW), Fail)
    assert isinstance(after_cache(kept(fresh_s=0), only, NOW), Fail)


def test_what_is_not_for_a_cache_passes_it() -> None:
    passed = Stream("pass-through", "method")
    assert after_cache(kept(), ask("POST", PLAIN), NOW) == passed
    assert after_cache(None, ask("HEAD", PLAIN), NOW) == Stream("pass-through", "uri-miss")
    assert isinstance(after_cache(kept(), ask("HEAD", PLAIN), NOW), Serve)
    conditional = ask("GET", PLAIN, if_match='"a"')
    assert after_cache(kept(), conditional, NOW) == Stream("pass-through", "request")


def test_after_the_store() -> None:
    nothing, forged, revoked = None, BadSignature(""), RevokedRecord("")
    assert after_store(nothing, SITE) == AskOrigin("no-record", fallback=False, withdrawn=False)
    assert after_store(forged, SITE) == AskOrigin("signature", fallback=True, withdrawn=False)
    assert after_store(revoked, SITE) == AskOrigin("revoked", fallback=False, withdrawn=True)


def test_only_what_is_still_approved_may_stand_in() -> None:
    gone = AskOrigin("region", fallback=True, withdrawn=False)
    revoked = AskOrigin("revoked", fallback=False, withdrawn=True)
    assert may_stand_in(kept(), gone, NOW)
    assert not may_stand_in(kept(), revoked, NOW)
    assert may_stand_in(kept("origin"), revoked, NOW)
    assert not may_stand_in(kept(), gone, NOW + 1000)


@pytest.mark.parametrize(
    ("served", "travel", "expected"),
    [
        (Serve(kept(), "hit", ""), Travel(), "e; hit; ttl=60; detail=rehydrated"),
        (Serve(kept("origin", -5), "stale", "region"), Travel("stale"),
         'e; hit; ttl=-5; detail="stale:origin"'),
        (Serve(kept("origin"), "origin", "no-record"), Travel("uri-miss", collapsed=True),
         'e; fwd=uri-miss; collapsed; detail="origin:no-record"'),
        (Serve(kept(), "rehydrated", ""), Travel("stale", stored=True),
         "e; fwd=stale; stored; detail=rehydrated"),
    ],
)  # fmt: skip
def test_cache_status_says_how(served: Serve, travel: Travel, expected: str) -> None:
    assert cache_status("e", served, travel, NOW) == expected


@pytest.mark.parametrize(
    ("served", "fresh_s", "grace_s"),
    [
        (Serve(kept(), "hit", ""), 60, 0),
        (Serve(kept(revalidating_until=NOW + 90), "hit", ""), 60, 30),
        (Serve(kept(fresh_s=-5), "stale", ""), 0, 0),
    ],
)
def test_caches_in_front_may_serve_as_long_as_this_one(
    served: Serve, fresh_s: int, grace_s: int
) -> None:
    head = respond(served, ask(), Travel(), node="e", now=NOW, fronted=True).head
    assert b"x-accel-expires: %d\r\nx-edge-grace: %d\r\n" % (fresh_s, grace_s) in head
    assert b"x-edge-tags: " in head


def test_caches_in_front_keep_nothing_with_fields_for_one_client() -> None:
    own = kept(head=b"x-own: 1\r\n")
    served = Serve(own, "origin", "no-record", keep=kept(head=b""))
    head = respond(served, ask(), Travel("uri-miss"), node="e", now=NOW, fronted=True).head
    assert b"x-accel-expires: 0\r\n" in head and b"x-edge-tags" not in head


def test_a_region_s_server_timing_is_read_not_repeated() -> None:
    said = 'queue;dur=1.5, generate ; dur=20, evil"\r\nx;dur=1, note;desc="a"'
    assert parse_server_timing(said)[:2] == (("queue", 1.5), ("generate", 20.0))
    assert all(re.fullmatch(r"[\w-]+", name) for name, _ in parse_server_timing(said))
