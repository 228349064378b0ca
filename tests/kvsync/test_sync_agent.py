"""A region's agent on a real store: what is published arrives, whatever happens on the way."""

from pathlib import Path

import pytest
from redis import Redis

from tests.kvsync.sync_world import (
    PROPERTY,
    SyncWorld,
    as_published,
    everything,
    key_of,
    sync_world,
    until,
)

A, B, C = key_of(1), key_of(2), key_of(3)


@pytest.fixture
def world(tmp_path: Path) -> SyncWorld:
    return sync_world(tmp_path)


@pytest.fixture
def url(valkey_url: str) -> str:
    with Redis.from_url(valkey_url) as client:
        client.flushall()
    return valkey_url


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
