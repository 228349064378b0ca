"""A region's agent on a real store: what is published arrives, whatever happens on the way."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2
import pytest
from msgspec.structs import replace
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from kvsync.agent.app import create_app
from kvsync.claims import claims_of
from kvsync.log import Configure, Heartbeat
from kvsync.log_answer import LogAnswer
from kvsync.record import PromptRecipe
from kvsync.report import PropertyReport
from kvsync.signing import SigningKey
from kvsync.store import Changes, StoredEntry, ValkeyStore
from tests.kvsync.golden import example_body
from tests.kvsync.sync_world import (
    PROPERTY,
    OriginStandIn,
    SyncWorld,
    as_published,
    everything,
    key_of,
    refused,
    until,
)

A, B, C = key_of(1), key_of(2), key_of(3)
MODEL = claims_of(example_body().sign(SigningKey.generate())).model or b""


@pytest.fixture
async def store(url: str) -> AsyncIterator[ValkeyStore]:
    kept = ValkeyStore(url, timeout_s=5)
    yield kept
    await kept.close()


async def test_what_is_published_is_read_in_the_region(world: SyncWorld, url: str) -> None:
    world.origin.publish(A, B)
    async with world.agent(url) as agent:
        follower = agent.followers[PROPERTY]
        await until(lambda: follower.held.cursor == world.origin.head)
        world.origin.publish(C)
        world.origin.revoke(A)
        await until(lambda: follower.held.cursor == world.origin.head)
        assert as_published(world.origin, await everything(url))
        await until(lambda: agent.ready)


async def test_an_agent_goes_on_where_the_last_one_was_killed(world: SyncWorld, url: str) -> None:
    world.origin.publish(A)
    async with world.agent(url) as agent:
        await until(lambda: agent.ready)
    world.origin.publish(B)
    world.origin.asked.clear()
    async with world.agent(url) as agent:
        await until(lambda: agent.followers[PROPERTY].held.cursor == world.origin.head)
    assert as_published(world.origin, await everything(url))
    assert not any("snapshots" in path for path in world.origin.asked)


async def test_an_empty_region_begins_with_the_snapshot(world: SyncWorld, url: str) -> None:
    world.origin.publish(*map(key_of, range(250)))
    world.origin.revoke(A)
    world.origin.make_snapshot()
    world.origin.trim()
    world.origin.publish(C)
    async with world.agent(url) as agent:
        await until(lambda: agent.ready)
    assert as_published(world.origin, await everything(url))


async def test_a_region_that_was_cut_for_too_long_falls_back_to_the_snapshot(
    world: SyncWorld, url: str
) -> None:
    world.origin.publish(A, B)
    async with world.agent(url) as agent:
        await until(lambda: agent.ready)
        world.origin.gone = True
        world.origin.publish(C)
        world.origin.revoke(B)
        world.origin.trim()
        world.origin.make_snapshot()
        world.origin.gone = False
        await until(lambda: agent.followers[PROPERTY].held.cursor == world.origin.head)
    assert as_published(world.origin, await everything(url))


async def test_a_snapshot_from_before_is_refused(world: SyncWorld, url: str) -> None:
    world.origin.publish(A)
    world.origin.make_snapshot()
    world.origin.revoke(A)
    async with world.agent(url) as agent:
        await until(lambda: agent.ready)
        world.origin.publish(B)
        world.origin.trim()
        with Redis.from_url(url) as client:
            client.hset(f"s:{{{PROPERTY}}}", "cursor", "loading")
    async with world.agent(url) as agent:
        await until(lambda: refused(agent, "rolled-back") > 0)
        assert not agent.ready
    assert (await everything(url))[A].record is None


def forged(answer: LogAnswer) -> bytes:
    batch = bytearray(answer.batches[-1])
    batch[len(batch) // 2] ^= 1
    return LogAnswer(answer.heartbeat, (*answer.batches[:-1], bytes(batch))).encode()


SPOILED: dict[str, Callable[[LogAnswer], bytes]] = {
    "signature": forged,
    "gap": lambda answer: LogAnswer(answer.heartbeat, answer.batches[-1:]).encode(),
    "replayed": lambda answer: LogAnswer(answer.heartbeat, answer.batches[:1] * 2).encode(),
    "truncated": lambda answer: answer.encode()[:-7],
    "malformed": lambda answer: LogAnswer(answer.heartbeat, (b"nonsense",)).encode(),
}


@pytest.mark.parametrize("reason", SPOILED)
async def test_what_was_changed_on_its_way_is_counted_and_never_applied(
    world: SyncWorld, url: str, reason: str
) -> None:
    for key in (A, B, C):
        world.origin.publish(key)
    world.origin.spoiled = SPOILED[reason]
    async with world.agent(url) as agent:
        await until(lambda: refused(agent, reason) > 0)
        held = await everything(url)
        assert all(entry.record == world.origin.truth[key].signed for key, entry in held.items())
        assert C not in held or reason == "replayed"
        world.origin.spoiled = None
        await until(lambda: agent.ready)
    assert as_published(world.origin, await everything(url))


async def test_a_log_of_other_batches_is_not_followed(world: SyncWorld, url: str) -> None:
    world.origin.publish(A)
    async with world.agent(url) as agent:
        await until(lambda: agent.ready)
        other = OriginStandIn(world.origin.signer)
        other.publish(B)
        other.publish(C)
        world.origin.batches = other.batches
        await until(lambda: refused(agent, "chain") > 0)
    assert B not in await everything(url)


async def test_a_record_waits_for_its_model(world: SyncWorld, url: str, store: ValkeyStore) -> None:
    world.caches.refuses_models = True
    world.origin.publish(A)
    async with world.agent(url, region_urls=("http://gpu:1",)) as agent:
        held = agent.followers[PROPERTY].held
        await until(lambda: held.cursor == world.origin.head)
        assert await store.get(PROPERTY, A) == StoredEntry()
        assert not agent.ready and held.readable_seq == 0
        world.caches.refuses_models = False
        await until(lambda: agent.ready)
        assert (await store.get(PROPERTY, A)).record == world.origin.truth[A].signed
        assert world.caches.held[-1] == (MODEL.hex(), 1)


async def test_a_killed_agent_still_lets_records_wait(world: SyncWorld, url: str) -> None:
    world.caches.refuses_models = True
    world.origin.publish(A)
    async with world.agent(url, region_urls=("http://gpu:1",)) as agent:
        await until(lambda: agent.followers[PROPERTY].held.cursor == world.origin.head)
    world.caches.refuses_models = False
    async with world.agent(url, region_urls=("http://gpu:1",)) as agent:
        await until(lambda: agent.ready)
    assert as_published(world.origin, await everything(url))


async def test_the_record_before_stays_in_force_until_the_model_came(
    world: SyncWorld, url: str, store: ValkeyStore
) -> None:
    world.origin.publish(A)
    async with world.agent(url, region_urls=("http://gpu:1",)) as agent:
        await until(lambda: agent.ready)
        before = await store.get(PROPERTY, A)
        world.caches.refuses_models = True
        recipe = example_body().recipe
        assert isinstance(recipe, PromptRecipe)
        world.origin.publish(A, recipe=replace(recipe, model=b"n" * 32))
        held = agent.followers[PROPERTY].held
        await until(lambda: held.cursor == world.origin.head)
        assert await store.get(PROPERTY, A) == before
        world.caches.refuses_models = False
        await until(lambda: agent.ready)
        assert (await store.get(PROPERTY, A)).record == world.origin.truth[A].signed


async def test_what_changed_is_purged_at_the_gpu_then_at_the_edge(
    world: SyncWorld, url: str
) -> None:
    caches = {"region_urls": ("http://gpu:1",), "edge_admins": ("http://edge:1",)}
    world.origin.publish(A, B)
    async with world.agent(url, **caches) as agent:
        await until(lambda: agent.ready)
        assert world.caches.told == []
        world.origin.revoke(A)
        await until(lambda: len(world.caches.told) == 2)
        assert world.caches.told == [("gpu", (A.hex(),)), ("edge", (A.hex(),))]


async def test_a_cache_that_is_gone_is_told_again_and_named(world: SyncWorld, url: str) -> None:
    world.origin.publish(A)
    async with world.agent(url, edge_admins=("http://edge:1",)) as agent:
        await until(lambda: agent.ready)
        world.caches.gone.add("edge")
        world.origin.revoke(A)
        seq = world.origin.head.seq
        await until(lambda: bool(world.origin.reports) and told(world).unpurged != ())
        await until(lambda: told(world).seq == seq)
        assert told(world).unpurged == ("http://edge:1",) and told(world).purged_seq < seq
        world.caches.gone.clear()
        await until(lambda: told(world).purged_seq == seq)
        assert told(world).unpurged == ()


def told(world: SyncWorld) -> PropertyReport:
    return world.origin.reports[-1].properties[PROPERTY]


async def test_purges_that_a_killed_agent_owed_are_made_good(world: SyncWorld, url: str) -> None:
    world.origin.publish(A)
    world.caches.gone.add("edge")
    async with world.agent(url, edge_admins=("http://edge:1",)) as agent:
        await until(lambda: agent.ready)
        world.origin.revoke(A)
        await until(lambda: agent.followers[PROPERTY].held.cursor == world.origin.head)
    world.caches.gone.clear()
    async with world.agent(url, edge_admins=("http://edge:1",)):
        await until(lambda: bool(world.caches.told))
    assert world.caches.told[0] == ("edge", (PROPERTY,))


async def test_a_picture_that_stayed_is_not_purged(world: SyncWorld, url: str) -> None:
    world.origin.publish(A)
    async with world.agent(url, edge_admins=("http://edge:1",)) as agent:
        await until(lambda: agent.ready)
        world.origin.publish(A)
        await until(lambda: bool(world.origin.reports))
        await until(lambda: told(world).purged_seq == world.origin.head.seq)
        assert world.caches.told == []
        approval = replace(example_body().approval, approved_at=12)
        world.origin.publish(A, approval=approval)
        await until(lambda: world.caches.told == [("edge", (A.hex(),))])


async def test_ranges_that_differ_are_repaired(
    world: SyncWorld, url: str, store: ValkeyStore
) -> None:
    world.origin.publish(*map(key_of, range(40)))
    world.origin.revoke(key_of(39))
    async with world.agent(url) as agent:
        await until(lambda: agent.ready)
        damage = Changes(
            withdrawn=(A,), forgotten=(key_of(39),), records={B: b"damaged", key_of(77): b"extra"}
        )
        await store.apply(PROPERTY, damage)
        world.origin.compare[PROPERTY] = 1
        await until(lambda: bool(world.origin.reports) and told(world).compared_request == 1)
        assert set(told(world).differing) == {key.hex() for key in (A, B, key_of(39), key_of(77))}
        assert as_published(world.origin, await everything(url))
        world.origin.compare[PROPERTY] = 2
        await until(lambda: told(world).compared_request == 2)
        assert told(world).differing == ()


async def test_a_full_store_takes_revocations_and_later_the_rest(
    world: SyncWorld, url: str
) -> None:
    world.origin.publish(A, B)
    async with world.agent(url, compare_s=0.2) as agent, AsyncRedis.from_url(url) as client:
        await until(lambda: agent.ready)
        await client.config_set("maxmemory", 1)
        try:
            world.origin.publish(C)
            world.origin.revoke(A)
            held = agent.followers[PROPERTY].held
            await until(lambda: held.cursor == world.origin.head)
            assert agent.metrics.refused[PROPERTY]["store-full"] >= 1
            found = await everything(url)
            assert found[A].record is None and C not in found
        finally:
            await client.config_set("maxmemory", 0)
        await until(lambda: agent.followers[PROPERTY].compared.differing != ())
    assert as_published(world.origin, await everything(url))


async def test_another_region_passes_a_newer_heartbeat_on(
    world: SyncWorld, url: str, store: ValkeyStore
) -> None:
    world.origin.publish(A)
    async with world.agent(url) as agent:
        await until(lambda: agent.ready)
    renewal = agent.followers[PROPERTY].renewal
    later = Heartbeat.make(PROPERTY, world.origin.head, renewal.at_ms + 60_000)
    renewal.signed = later.sign(world.origin.signer)
    world.neighbours["neighbour"] = httpx2.ASGITransport(create_app(agent))
    world.origin.gone = True
    async with world.agent(url, neighbours=("http://neighbour:1",)) as cut:
        await until(lambda: cut.followers[PROPERTY].renewal.at_ms == later.at_ms)
    assert (await store.state(PROPERTY)).heartbeat == renewal.signed


async def test_a_heartbeat_ahead_of_what_was_applied_renews_nothing(
    world: SyncWorld, url: str, store: ValkeyStore
) -> None:
    world.origin.publish(A)
    async with world.agent(url) as agent:
        await until(lambda: agent.ready)
        before = (await store.state(PROPERTY)).heartbeat
        world.origin.gone = True
        world.origin.revoke(A)
        ahead = Heartbeat.make(PROPERTY, world.origin.head, int(time.time() * 1_000) + 1)
        assert not await agent.followers[PROPERTY].renew(ahead.sign(world.origin.signer))
        assert not agent.ready
        assert (await store.state(PROPERTY)).heartbeat >= before


async def test_a_clock_that_is_off_is_told_of(world: SyncWorld, url: str) -> None:
    world.origin.clock_ahead_s = 600.0
    world.origin.publish(A)
    async with world.agent(url) as agent:
        await until(lambda: refused(agent, "clock") == 1)
        assert -610 < agent.clock_offset_s < -590


async def test_a_region_that_hears_nothing_gets_later_and_later(world: SyncWorld, url: str) -> None:
    world.origin.publish(A)
    async with world.agent(url) as agent:
        await until(lambda: agent.ready)
        world.origin.gone = True
        agent.followers[PROPERTY].renewal.at_ms -= 60_000
        told = agent.exposition().decode()
        [lag] = [line for line in told.splitlines() if line.startswith("sync_lag_seconds{")]
        assert 60 <= float(lag.split()[-1]) < 90


async def test_of_a_property_that_is_served_no_more_nothing_is_held(
    world: SyncWorld, url: str, store: ValkeyStore
) -> None:
    world.origin.publish(A)
    await store.put("former", {A: b"record", B: b"record"})
    async with world.agent(url) as agent:
        await until(lambda: agent.ready)
        async with asyncio.timeout(60):
            while await store.properties() != [PROPERTY]:
                await asyncio.sleep(0.01)
    assert await everything(url, "former") == {}
    assert as_published(world.origin, await everything(url))


async def test_settings_of_the_log_are_checked_and_written(
    world: SyncWorld, url: str, tmp_path: Path
) -> None:
    good = Path("deploy/properties/rumba.toml").read_bytes().replace(b'"rumba"', b'"shop"', 1)
    world.origin.seal(Configure(1, good))
    world.origin.seal(Configure(2, b"id = 'shop'"))
    async with world.agent(url, properties_dir=tmp_path) as agent:
        await until(lambda: agent.ready)
        assert (tmp_path / "shop.toml").read_bytes() == good
        assert agent.metrics.refused[PROPERTY] == {"settings": 1}
