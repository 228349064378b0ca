"""The pure rules: negotiation, freshness, conditions, the breaker, what follows what."""

import re
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.breaker import Breaker, Rules, State
from edge.decide import (
    AskOrigin,
    AskStore,
    Serve,
    after_cache,
    after_store,
    may_stand_in,
)
from edge.freshness import NOT_KEPT, directives, freshness, initial_age, limit_ages
from edge.negotiate import choose, clamp_width, nearest_quality, negotiated_format
from edge.reply import Reply
from edge.respond import Travel, cache_status, parse_server_timing
from kvsync.conditional import Conditions, entity_tag, not_modified
from kvsync.errors import BadRequest, BadSignature, RevokedRecord
from kvsync.rendition import FormatRule, RenditionRules

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


@pytest.mark.parametrize(
    ("headers", "fresh_s", "usable_s"),
    [
        ({"cache-control": "public, max-age=60"}, 60, 660),
        ({"cache-control": "max-age=60, s-maxage=90"}, 90, 90),
        ({"cache-control": "max-age=60", "cdn-cache-control": "max-age=5"}, 5, 605),
        ({"cache-control": "no-store", "cdn-cache-control": "max-age=5"}, 5, 605),
        ({"cache-control": "max-age=60", "cdn-cache-control": "no-store"}, None, None),
        ({"cache-control": "max-age=60, must-revalidate"}, 60, 60),
        ({"cache-control": "max-age=60, stale-if-error=5"}, 60, 65),
        ({"cache-control": 'private="x", max-age=60'}, None, None),
        ({"cache-control": "max-age=0"}, None, None),
        ({"cache-control": "max-age=-5"}, None, None),
        ({"cache-control": "max-age=60", "set-cookie": "a=b"}, None, None),
        ({"cache-control": "max-age=60", "vary": "*"}, None, None),
        ({"cache-control": "max-age=60", "vary": "Accept, Accept-Encoding"}, 60, 660),
        ({"expires": formatdate(NOW + 30, usegmt=True), "date": formatdate(NOW, usegmt=True)},
         30, 630),
        ({}, None, None),
    ],
)  # fmt: skip
def test_the_origin_says_how_long(
    headers: dict[str, str], fresh_s: float | None, usable_s: float | None
) -> None:
    kept = freshness(200, headers, received_at=NOW, age_s=0, stale_if_error_s=600)
    if fresh_s is None or usable_s is None:
        assert kept == NOT_KEPT
    else:
        assert (kept.fresh_until - NOW, kept.usable_until - NOW) == (fresh_s, usable_s)


def test_age_on_arrival_shortens_freshness() -> None:
    sent = {"date": formatdate(NOW - 20, usegmt=True), "age": "30"}
    assert initial_age(sent, asked_at=NOW - 2, received_at=NOW) == 32
    assert initial_age({"date": sent["date"]}, asked_at=NOW, received_at=NOW) == 20
    kept = freshness(
        200, {"cache-control": "max-age=60"}, received_at=NOW, age_s=32, stale_if_error_s=0
    )
    assert kept.fresh_until == NOW + 28
    assert freshness(404, {}, received_at=NOW, age_s=0, stale_if_error_s=0) == NOT_KEPT


@given(st.text(max_size=200))
def test_any_cache_control_can_be_read(value: str) -> None:
    assert all(name == name.lower() for name in directives(value))


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
    assert entity_tag(b"") == '"cae66941d9efbd404e4d88758ea67670"'


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


def reply(source: str = "rehydrated", fresh_s: float = 60, accept: str | None = None) -> Reply:
    return Reply(
        status=200,
        headers=(("content-type", "image/jpeg"),),
        source="rehydrated" if source == "rehydrated" else "origin",
        reason="" if source == "rehydrated" else "no-record",
        generated_at=NOW,
        fresh_until=NOW + fresh_s,
        usable_until=NOW + 1000,
        accept=accept,
        body=b"x",
    )


def test_after_the_cache() -> None:
    assert after_cache(None, "", NOW) == AskStore("uri-miss")
    assert after_cache(reply(), "", NOW) == Serve(reply(), "hit", "")
    assert after_cache(reply(fresh_s=0), "", NOW) == AskStore("stale", reply(fresh_s=0))
    assert after_cache(reply("origin", accept="a"), "b", NOW) == AskStore("vary-miss")


def test_after_the_store() -> None:
    assert after_store(None) == AskOrigin("no-record", fallback=False, withdrawn=False)
    assert after_store(BadSignature("")) == AskOrigin("signature", fallback=True, withdrawn=False)
    assert after_store(RevokedRecord("")) == AskOrigin("revoked", fallback=False, withdrawn=True)


def test_only_what_is_still_approved_may_stand_in() -> None:
    gone = AskOrigin("region", fallback=True, withdrawn=False)
    revoked = AskOrigin("revoked", fallback=False, withdrawn=True)
    assert may_stand_in(reply(), gone, NOW)
    assert not may_stand_in(reply(), revoked, NOW)
    assert may_stand_in(reply("origin"), revoked, NOW)
    assert not may_stand_in(reply(), gone, NOW + 1000)


@pytest.mark.parametrize(
    ("served", "travel", "expected"),
    [
        (Serve(reply(), "hit", ""), Travel(), "e; hit; ttl=60; detail=rehydrated"),
        (Serve(reply("origin", -5), "stale", "region"), Travel("stale"),
         'e; hit; ttl=-5; detail="stale:origin"'),
        (Serve(reply("origin"), "origin", "no-record"), Travel("uri-miss", collapsed=True),
         'e; fwd=uri-miss; collapsed; detail="origin:no-record"'),
        (Serve(reply(), "rehydrated", ""), Travel("stale", stored=True),
         "e; fwd=stale; stored; detail=rehydrated"),
    ],
)  # fmt: skip
def test_cache_status_says_how(served: Serve, travel: Travel, expected: str) -> None:
    assert cache_status("e", served, travel, NOW) == expected


def test_a_region_s_server_timing_is_read_not_repeated() -> None:
    said = 'queue;dur=1.5, generate ; dur=20, evil"\r\nx;dur=1, note;desc="a"'
    assert parse_server_timing(said)[:2] == (("queue", 1.5), ("generate", 20.0))
    assert all(re.fullmatch(r"[\w-]+", name) for name, _ in parse_server_timing(said))
