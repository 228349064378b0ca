"""The stories, in the order in which they are walked. Their numbers are in the README."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import quantiles

import httpx2

from deploy.check import requests_by_hand
from deploy.check.console_story import from_csv_to_shoppers_and_back
from deploy.check.ways_story import replica_and_back
from deploy.check.world import World, expect, with_unknown_check, with_wrong_fingerprint
from deploy.system import System

AVIF = "image/avif,image/webp,image/*;q=0.8"
WEBP = "image/webp,image/*;q=0.8"
_VOLATILE = frozenset({"etag", "content-length", "server-timing", "cache-status"})
_SLACK = 3.0
_SAMPLES = 16

Run = Callable[[World], Awaitable[str]]


@dataclass(frozen=True)
class Story:
    """``run`` returns what it saw or raises ``Difference``; ``breaks`` are the parts that, killed
    beforehand, must make it fail (``cache``: emptied over and over)."""

    title: str
    expected: str
    run: Run
    breaks: str


async def first_is_rehydrated(world: World) -> str:
    path = world.fresh()
    before = await world.link_bytes("images")
    seen = world.expect_rehydrated(path, await world.get(path))
    expect(await world.link_bytes("images") == before, "image bytes on the middle mile")
    return seen


async def second_is_a_hit(world: World) -> str:
    path = world.fresh()
    first = await world.get(path)
    hits = await world.answers(outcome="hit")
    second = await world.get(path)
    world.expect_rehydrated(path, first)
    expect("hit" in second.headers["cache-status"].split("; "), second.headers["cache-status"])
    expect(second.content == first.content, "other bytes")
    expect(await world.answers(outcome="hit") == hits + 1, "not counted as a hit")
    return "a hit, the same bytes, counted"


async def head_is_like_get(world: World) -> str:
    path = world.fresh()
    got = await world.get(path)
    head = await world.client.head(path, headers={"accept": "image/jpeg"})
    world.expect_rehydrated(path, got)
    expect(head.status_code == 200 and head.content == b"", f"{head.status_code}, a body")
    differing = {
        name
        for name in {*got.headers, *head.headers} - {"server-timing", "cache-status", "age", "date"}
        if got.headers.get(name) != head.headers.get(name)
    }
    expect(not differing, f"other {', '.join(sorted(differing))}")
    return "the same headers, no body"


async def not_modified(world: World) -> str:
    path = world.fresh()
    got = await world.get(path)
    world.expect_rehydrated(path, got)
    again = await world.get(path, if_none_match=got.headers["etag"])
    expect(again.status_code == 304 and again.content == b"", f"{again.status_code}")
    expect(again.headers["etag"] == got.headers["etag"], "another ETag")
    other = await world.get(path, if_none_match='"other"')
    expect(other.status_code == 200 and other.content == got.content, f"{other.status_code}")
    return "304 for its ETag, 200 for another"


async def negotiated(world: World, accept: str, media_type: str) -> str:
    path = world.fresh()
    got = await world.get(path, accept)
    seen = world.expect_rehydrated(path, got)
    expect(got.headers["content-type"] == media_type, got.headers["content-type"])
    expect("accept" in got.headers.get("vary", "").lower(), f"Vary: {got.headers.get('vary')}")
    plain = await world.get(path)
    expect(plain.headers["content-type"] == "image/jpeg", "a shared answer for JPEG clients")
    world.expect_rehydrated(path, plain)
    return f"{media_type.removeprefix('image/')}, {seen}"


async def webp(world: World) -> str:
    return await negotiated(world, WEBP, "image/webp")


async def avif(world: World) -> str:
    return await negotiated(world, AVIF, "image/avif")


async def carries_provenance(world: World) -> str:
    for accept in ("image/jpeg", WEBP, AVIF):
        path = world.fresh()
        got = await world.get(path, accept)
        world.expect_rehydrated(path, got)
        expect(b"trainedAlgorithmicMedia" in got.content, f"none in {got.headers['content-type']}")
    return "digitalSourceType in JPEG, WebP and AVIF"


async def no_record(world: World) -> str:
    path = world.fresh()
    await world.forget(path)
    return await _from_origin(world, path, "no-record")


async def broken_signature(world: World) -> str:
    path = world.fresh()
    signed = (await world.record(path)).signed
    await world.write(path, signed[:-1] + bytes([signed[-1] ^ 1]))
    return await _from_origin(world, path, "signature")


async def wrong_fingerprint(world: World) -> str:
    path = world.fresh()
    await world.resign(path, with_wrong_fingerprint)
    return await _from_origin(world, path, "fingerprint")


async def record_of_another(world: World) -> str:
    path = world.fresh()
    await world.write(path, (await world.record(world.fresh())).signed)
    return await _from_origin(world, path, "wrong-asset")


async def revoked_written_back(world: World) -> str:
    path = world.fresh()
    signed = await world.revoke(path)
    await world.write(path, signed)
    return await _from_origin(world, path, "revoked")


async def unknown_check(world: World) -> str:
    path = world.fresh()
    await world.resign(path, with_unknown_check)
    return await _from_origin(world, path, "unsupported")


async def region_killed(world: World) -> str:
    world.kill("region")
    return await _in_time(world)


async def region_hung(world: World) -> str:
    world.hang("region")
    return await _in_time(world)


async def store_killed(world: World) -> str:
    return await _without_store(world, lambda: world.kill("valkey"))


async def store_hung(world: World) -> str:
    return await _without_store(world, lambda: world.hang("valkey"))


async def origin_killed(world: World) -> str:
    world.kill("origin")
    return await _approved_still_served(world)


async def origin_hung(world: World) -> str:
    world.hang("origin")
    return await _approved_still_served(world)


async def restarted_without_origin(world: World) -> str:
    world.kill("region", "origin")
    world.running("region").start()
    await world.running("region").wait_ready()
    path = world.fresh()
    deadline = time.monotonic() + 15
    while True:
        await world.purge_edge(tags=[world.key(path).hex()])
        got = await world.get(path)
        if got.status_code == 200 or time.monotonic() > deadline:
            return world.expect_rehydrated(path, got) + ", model from its own disk"
        await asyncio.sleep(0.2)


async def fifty_at_once(world: World) -> str:
    path = world.fresh()
    before = await world.generations()
    answers = await asyncio.gather(*(world.get(path) for _ in range(50)))
    made = await world.generations() - before
    world.expect_rehydrated(path, answers[0])
    expect(len({answer.content for answer in answers}) == 1, "different bytes")
    expect(made == 1, f"{made:g} generations")
    return "one generation, 50 equal answers"


async def dot_segments(world: World) -> str:
    return await requests_by_hand.refused(world.place.ports.edge, b"/../etc/passwd", 400)


async def absolute_form(world: World) -> str:
    target = b"http://elsewhere.example" + world.fresh().encode()
    return await requests_by_hand.refused(world.place.ports.edge, target, 400)


async def long_path(world: World) -> str:
    return await requests_by_hand.refused(world.place.ports.edge, b"/" + b"a" * 10_240, 414)


async def unknown_host(world: World) -> str:
    path = world.fresh().encode()
    return await requests_by_hand.refused(world.place.ports.edge, path, 421, b"nobody.example")


async def no_slower_than_a_haul(world: World) -> str:
    hauls, rehydrations = [], []
    far = System.url(world.place.ports.link_images)
    async with httpx2.AsyncClient(base_url=far, timeout=30) as origin:
        await origin.get(world.fresh())  # so that connecting is not counted
        for _ in range(_SAMPLES):
            path = world.fresh()
            hauls.append(await _first_byte_ms(origin, path))
            rehydrations.append(await _first_byte_ms(world.client, path))
            world.expect_rehydrated(path, await world.get(path))
    haul, rehydrated = (quantiles(values, n=20)[-1] for values in (hauls, rehydrations))
    expect(rehydrated <= haul, f"p95 {rehydrated:.0f} ms, a haul takes {haul:.0f} ms")
    return f"p95 {rehydrated:.0f} ms, a haul {haul:.0f} ms"


async def no_image_bytes_on_the_link(world: World) -> str:
    before = await world.link_bytes("images")
    for _ in range(_SAMPLES):
        path = world.fresh()
        world.expect_rehydrated(path, await world.get(path))
    crossed = await world.link_bytes("images") - before
    models, records = [await world.link_bytes(route) for route in ("models", "records")]
    expect(crossed == 0, f"{crossed} image bytes")
    return f"0 image bytes for {_SAMPLES} images; model {models}, records {records} in all"


async def same_headers(world: World) -> str:
    path, other = world.fresh(), world.fresh()
    rehydrated = await world.get(path)
    world.expect_rehydrated(path, rehydrated)
    await world.forget(other)
    hauled = await world.get(other)
    world.expect_original(other, hauled, "no-record")
    names = [set(answer.headers) - _VOLATILE for answer in (rehydrated, hauled)]
    differing = names[0] ^ names[1]
    expect(not differing, f"only one has {', '.join(sorted(differing))}")
    settings = {name.lower() for name in world.site.headers} - {"surrogate-key"}
    for name in settings:
        expect(rehydrated.headers[name] == hauled.headers[name], f"another {name}")
    return f"the same {len(names[0])} headers"


STORIES: tuple[Story, ...] = (
    Story("first request", "rehydrated", first_is_rehydrated, "region"),
    Story("second request", "cache hit, same bytes", second_is_a_hit, "cache"),
    Story("HEAD", "like GET, no body", head_is_like_get, "region"),
    Story("If-None-Match", "304", not_modified, "region"),
    Story("WebP accepted", "WebP, Vary: Accept", webp, "region"),
    Story("AVIF accepted", "AVIF, Vary: Accept", avif, "region"),
    Story("provenance", "XMP in every format", carries_provenance, "region"),
    Story("no record", "origin", no_record, "origin"),
    Story("broken signature", "origin, counted", broken_signature, "origin"),
    Story("wrong fingerprint", "origin, counted", wrong_fingerprint, "origin"),
    Story("record of another asset", "origin, counted", record_of_another, "origin"),
    Story("revoked record written back", "origin, counted", revoked_written_back, "origin"),
    Story("check unknown to this version", "origin, counted", unknown_check, "origin"),
    Story("50 concurrent requests", "one generation", fifty_at_once, "region"),
    Story("/../", "400", dot_segments, "edge"),
    Story("absolute-form URI", "400", absolute_form, "edge"),
    Story("10 KB path", "414", long_path, "edge"),
    Story("unknown host", "421", unknown_host, "edge"),
    Story("time to first byte", "p95 no worse than a haul", no_slower_than_a_haul, "region"),
    Story("counting relay", "0 image bytes", no_image_bytes_on_the_link, "region"),
    Story("header sets", "the same from region and origin", same_headers, "region"),
    Story(
        "CSV to shoppers and back", "live, then revoked", from_csv_to_shoppers_and_back, "worker"
    ),
    Story("region killed", "origin within the deadline", region_killed, "origin"),
    Story("region hung", "origin within the deadline", region_hung, "origin"),
    Story("Valkey killed", "cached still served, others origin", store_killed, "origin"),
    Story("Valkey hung", "cached still served, others origin", store_hung, "origin"),
    Story("origin killed", "approved images still served", origin_killed, "region"),
    Story("origin hung", "approved images still served", origin_hung, "region"),
    Story("region restarted, no origin", "model from its disk", restarted_without_origin, "models"),
    Story("a replica chosen, and back", "obeyed, served without origin", replica_and_back, "agent"),
)


async def _from_origin(world: World, path: str, reason: str) -> str:
    counted = await world.answers(outcome="origin", reason=reason)
    seen = world.expect_original(path, await world.get(path), reason)
    expect(await world.answers(outcome="origin", reason=reason) == counted + 1, "not counted")
    return seen + ", counted"


async def _in_time(world: World) -> str:
    path = world.fresh()
    limit_ms = _SLACK * (world.site.region_deadline_ms + world.place.link.rtt_ms)
    begun = time.monotonic()
    answer = await world.get(path)
    took_ms = (time.monotonic() - begun) * 1000
    expect(answer.content == world.original(path), f"{answer.status_code}, other bytes")
    expect(took_ms <= limit_ms, f"{took_ms:.0f} ms, allowed {limit_ms:.0f}")
    return f"the original in {took_ms:.0f} ms"


async def _without_store(world: World, damage: Callable[[], None]) -> str:
    cached, uncached = world.fresh(), world.fresh()
    first = await world.get(cached)
    world.expect_rehydrated(cached, first)
    damage()
    again = await world.get(cached)
    expect(again.content == first.content, f"{again.status_code}, other bytes for a cached image")
    return "the cached image; " + world.expect_original(
        uncached, await world.get(uncached), "store"
    )


async def _approved_still_served(world: World) -> str:
    path = world.fresh()
    return world.expect_rehydrated(path, await world.get(path))


async def _first_byte_ms(client: httpx2.AsyncClient, path: str) -> float:
    begun = time.monotonic()
    async with client.stream("GET", path, headers={"accept": "image/jpeg"}) as answer:
        body = answer.aiter_raw()
        await anext(body)
        took = time.monotonic() - begun
        async for _ in body:
            pass
    return took * 1000
