"""Payloads that are too large for their records: held in the region before those are read."""

from typing import Any

from kvsync.record import KeptPayload, RecordBody
from tests.kvsync.golden import example_body
from tests.kvsync.sync_world import (
    PROPERTY,
    SyncWorld,
    as_published,
    everything,
    key_of,
    until,
)

A, B, C = key_of(1), key_of(2), key_of(3)
GPU = ("http://gpu:1",)
LARGE = b"large" * 1_000


def naming(payload: bytes) -> dict[str, Any]:
    """What changes in a record's body whose recipe names a payload."""
    body: RecordBody = example_body()
    return {"recipe": body.recipe.with_payload(payload).as_signed()}


async def test_a_record_waits_for_its_payload_and_others_do_not(world: SyncWorld, url: str) -> None:
    world.caches.refuses_payloads = True
    world.origin.publish(A, **naming(LARGE))
    world.origin.publish(B)
    async with world.agent(url, region_urls=GPU) as agent:
        held = agent.followers[PROPERTY].held
        await until(lambda: held.cursor == world.origin.head)
        while B not in (found := await everything(url)):
            pass
        assert A not in found and not agent.ready
        world.caches.refuses_payloads = False
        await until(lambda: agent.ready)
    assert as_published(world.origin, await everything(url))
    assert list(world.caches.payloads[PROPERTY].values()) == [KeptPayload.of(LARGE)]


async def test_a_killed_agent_still_lets_records_wait_for_payloads(
    world: SyncWorld, url: str
) -> None:
    world.caches.refuses_payloads = True
    world.origin.publish(A, **naming(LARGE))
    async with world.agent(url, region_urls=GPU) as agent:
        await until(lambda: agent.followers[PROPERTY].held.cursor == world.origin.head)
    world.caches.refuses_payloads = False
    async with world.agent(url, region_urls=GPU) as agent:
        await until(lambda: agent.ready)
    assert as_published(world.origin, await everything(url))


async def test_a_payload_that_nobody_waits_for_any_more_holds_nothing_up(
    world: SyncWorld, url: str
) -> None:
    world.caches.refuses_payloads = True
    world.origin.publish(A, **naming(LARGE))
    async with world.agent(url, region_urls=GPU) as agent:
        held = agent.followers[PROPERTY].held
        await until(lambda: held.cursor == world.origin.head)
        world.origin.revoke(A)
        await until(lambda: agent.ready)
    assert as_published(world.origin, await everything(url))


async def test_what_no_record_names_is_dropped_by_the_next_comparison(
    world: SyncWorld, url: str
) -> None:
    world.origin.publish(A, **naming(LARGE))
    world.origin.publish(B, **naming(LARGE + b"2"))
    world.origin.publish(C, **naming(LARGE + b"3"))
    async with world.agent(url, region_urls=GPU) as agent:
        await until(lambda: agent.ready)
        assert len(world.caches.payloads[PROPERTY]) == 3
        world.origin.publish(A)
        world.origin.revoke(B)
        await until(lambda: agent.followers[PROPERTY].held.cursor == world.origin.head)
        world.origin.compare = {PROPERTY: 1}
        await until(lambda: len(world.caches.payloads[PROPERTY]) == 1)
        assert KeptPayload.of(LARGE + b"3").digest in world.caches.payloads[PROPERTY]
        world.origin.publish(A, **naming(LARGE))
        held = agent.followers[PROPERTY].held
        await until(lambda: held.readable_seq == world.origin.head.seq)
        assert len(world.caches.payloads[PROPERTY]) == 2
    assert as_published(world.origin, await everything(url))


async def test_without_gpu_services_nothing_waits(world: SyncWorld, url: str) -> None:
    world.origin.publish(A, **naming(LARGE))
    async with world.agent(url) as agent:
        await until(lambda: agent.ready)
    assert as_published(world.origin, await everything(url))
