"""How a miss of an asset with a record is answered, by the ways of its family."""

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from tests.edge.world import ReplicaPeer, World

GENERATED = b"generated jpeg/768/92"


@pytest.fixture
async def replica() -> AsyncIterator[ReplicaPeer]:
    peer = ReplicaPeer()
    await peer.start()
    yield peer
    peer.hung = False
    peer.kill()


async def start(world: World, ways: str, replica: ReplicaPeer | None = None) -> None:
    """The edge of a property whose family ``rumba`` has these ways; ``/a.jpg`` has a record."""
    file = world.settings["properties_dir"] / "rumba.toml"
    file.write_text(f"{file.read_text()}\n[ways]\nrumba = {{ {ways} }}\n")
    await world.start_edge(replica_url="" if replica is None else replica.url)
    await world.publish("/a.jpg")


HAUL = 'policy = "economical", way = "haul"'
REPLICA = 'policy = "economical", way = "replica"'
RESILIENCE = 'policy = "resilience"'


async def test_a_hauled_family_comes_from_the_origin(still_world: World) -> None:
    world = still_world
    await start(world, HAUL)
    answer = await world.get("/a.jpg")
    assert answer.content == world.origin.bodies["/a.jpg"] and world.region.generated == []
    assert answer.headers["cache-status"].endswith('; stored; detail="origin:haul"')
    assert "hit; ttl=86" in (await world.get("/a.jpg")).headers["cache-status"]


async def test_another_family_is_rehydrated_all_the_same(still_world: World) -> None:
    world = still_world
    await start(world, HAUL)
    hat = replace(world.record("/hat.jpg"), family="hats")
    await world.write("/hat.jpg", hat.sign(world.signing_key))
    assert (await world.get("/hat.jpg")).content == GENERATED


@pytest.mark.parametrize("ways", [HAUL, REPLICA])
async def test_without_the_origin_a_record_is_of_use_whatever_was_chosen(
    still_world: World, ways: str
) -> None:
    world = still_world
    await start(world, ways)
    world.origin.kill()
    answer = await world.get("/a.jpg")
    assert answer.content == GENERATED and "detail=rehydrated" in answer.headers["cache-status"]


@pytest.mark.parametrize("status", [500, 503])
async def test_an_origin_in_trouble_is_as_good_as_none(still_world: World, status: int) -> None:
    world = still_world
    await start(world, HAUL)
    world.origin.status = status
    assert (await world.get("/a.jpg")).content == GENERATED
    world.region.kill()
    assert (await world.get("/a.jpg?w=256")).status_code == status


async def test_resilience_means_the_origin_while_it_is_well(still_world: World) -> None:
    world = still_world
    await start(world, RESILIENCE)
    answer = await world.get("/a.jpg")
    assert answer.content == world.origin.bodies["/a.jpg"] and world.region.generated == []
    assert 'detail="origin:resilience"' in answer.headers["cache-status"]


async def test_resilience_rehydrates_while_the_origin_is_slow(still_world: World) -> None:
    world = still_world
    await start(world, RESILIENCE)
    world.origin.hung = True
    answers = [await world.get(f"/a.jpg?w={width}") for width in (256, 384, 512)]
    assert all(one.content.startswith(b"generated") for one in answers)
    asked = len(world.origin.requests)
    assert (await world.get("/a.jpg?w=768")).content == GENERATED
    assert len(world.origin.requests) == asked, "its breaker is open"


async def test_resilience_has_the_slow_origin_when_the_region_is_gone(still_world: World) -> None:
    world = still_world
    await start(world, RESILIENCE)
    world.region.kill()
    world.origin.takes_s = 0.6
    answer = await world.get("/a.jpg")
    assert answer.content == world.origin.bodies["/a.jpg"]
    assert 'detail="origin:region"' in answer.headers["cache-status"]


async def test_a_replica_answers_with_region_and_origin_gone(
    still_world: World, replica: ReplicaPeer
) -> None:
    world = still_world
    await start(world, REPLICA, replica)
    original = world.origin.bodies["/a.jpg"]
    replica.hold(original)
    world.origin.kill()
    world.region.kill()
    answer = await world.get("/a.jpg")
    assert answer.content == original and answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-status"] == "edge-1; fwd=uri-miss; stored; detail=replica"
    assert answer.headers["surrogate-key"].startswith("rumba rumba ")
    hit = await world.get("/a.jpg")
    assert "hit" in hit.headers["cache-status"] and "detail=replica" in hit.headers["cache-status"]
    assert await world.count("edge_answers_total", outcome="replica") == 1
    assert await world.count("edge_middle_mile_bytes_total") == 0


async def test_what_the_replica_does_not_have_is_hauled(
    still_world: World, replica: ReplicaPeer
) -> None:
    world = still_world
    await start(world, REPLICA, replica)
    answer = await world.get("/a.jpg")
    assert answer.content == world.origin.bodies["/a.jpg"]
    assert 'detail="origin:no-replica"' in answer.headers["cache-status"]
    assert await world.count("edge_breaker_state", peer="replica") == 0


@pytest.mark.parametrize("way", ["wrong", "hung", "killed"])
async def test_a_replica_that_is_not_sure_is_passed_by(
    still_world: World, replica: ReplicaPeer, way: str
) -> None:
    world = still_world
    await start(world, REPLICA, replica)
    original = world.origin.bodies["/a.jpg"]
    replica.hold(original)
    replica.hung = way == "hung"
    if way == "wrong":
        replica.bodies = dict.fromkeys(replica.bodies, b"something else")
    if way == "killed":
        replica.kill()
    answer = await world.get("/a.jpg")
    assert answer.content == original
    assert 'detail="origin:replica"' in answer.headers["cache-status"]
    assert await world.count("edge_region_calls_total", region=replica.url, result="replica") == 1


async def test_a_replica_that_is_gone_is_left_alone(
    still_world: World, replica: ReplicaPeer
) -> None:
    world = still_world
    await start(world, REPLICA, replica)
    replica.kill()
    for width in (256, 384, 512):
        await world.get(f"/a.jpg?w={width}")
    assert await world.count("edge_breaker_state", peer="replica") == 2


async def test_a_revoked_record_means_the_origin_and_nothing_kept(
    still_world: World, replica: ReplicaPeer
) -> None:
    world = still_world
    await start(world, REPLICA, replica)
    replica.hold(world.origin.bodies["/a.jpg"])
    await world.get("/a.jpg")
    await world.revoke("/a.jpg")
    await world.purge(world.key("/a.jpg").hex())
    world.origin.bodies["/a.jpg"] = b"another original"
    answer = await world.get("/a.jpg")
    assert answer.content == b"another original"
    assert 'detail="origin:revoked"' in answer.headers["cache-status"]


async def test_an_unheard_log_ends_what_was_kept_of_the_replica(
    still_world: World, replica: ReplicaPeer
) -> None:
    """As it does of what was rehydrated: both are right by their records alone."""
    world = still_world
    await start(world, REPLICA, replica)
    replica.hold(world.origin.bodies["/a.jpg"])
    await world.get("/a.jpg")
    assert await world.purge("rumba:rehydrated") == 1


async def test_replica_and_rehydrated_image_never_mix(
    still_world: World, replica: ReplicaPeer
) -> None:
    world = still_world
    await start(world, REPLICA, replica)
    original = world.origin.bodies["/a.jpg"]
    replica.hold(original)
    kept = await world.get("/a.jpg")
    replica.bodies.clear()
    await world.purge("rumba")
    world.origin.kill()
    tag = kept.headers["etag"]
    for asked in ({"if_none_match": tag}, {"range": "bytes=4-", "if_range": tag}):
        answer = await world.get("/a.jpg", **asked)
        assert (answer.status_code, answer.content) == (200, GENERATED)
