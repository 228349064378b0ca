"""A region's replica: the originals of a family, pulled once per change and kept."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from kvsync.agent.agent import Agent
from kvsync.agent.app import create_app
from kvsync.agent.replica import Replica
from kvsync.errors import InputError
from kvsync.ledger import Carried
from kvsync.log import Configure
from kvsync.record import Original
from kvsync.replica import replica_path
from tests.kvsync.golden import example_body
from tests.kvsync.sync_world import PROPERTY, SyncWorld, key_of, until

A, B, C = key_of(1), key_of(2), key_of(3)
FAMILY = example_body().family
RULES = b"""
id = "shop"
hosts = ["shop.example"]
[renditions]
widths = [384]
qualities = [85]
encode_budget_ms = 100
[[renditions.formats]]
format = "jpeg"
quality = 92
score = 88.6
encode_ms = 1.5
score_goal = 85
"""
REPLICA = RULES + b'[ways]\n"%b" = { policy = "economical", way = "replica" }\n' % FAMILY.encode()


def body_of(key: bytes, version: int = 1) -> bytes:
    return b"original %d of " % version + key * 100


def publish(world: SyncWorld, *keys: bytes, version: int = 1, **changed: Any) -> None:
    """Records of originals, which the origin has from now on."""
    for key in keys:
        world.origin.originals[key] = body = body_of(key, version)
        digest = hashlib.blake2b(body, digest_size=32).digest()
        original = Original('"v1"', digest, "image/jpeg", len(body))
        world.origin.publish(key, original=original, **changed)


def configure(world: SyncWorld, toml: bytes) -> None:
    world.origin.seal(Configure(world.origin.head.seq + 1, toml))


@asynccontextmanager
async def keeping(world: SyncWorld, url: str, **changed: Any) -> AsyncIterator[Replica]:
    """The replica of a running agent."""
    async with agent_of(world, url, **changed) as agent:
        yield agent.replicas[PROPERTY]


def agent_of(world: SyncWorld, url: str, **changed: Any) -> Any:
    folders = {"replica_dir": world.folder / "replica", "properties_dir": world.folder / "own"}
    return world.agent(url, **folders, **changed)


def whole(replica: Replica, originals: int) -> Any:
    def holds() -> bool:
        report = replica.report()
        return (report.originals, report.missing, report.fault) == (originals, 0, "")

    return holds


async def read(replica: Replica, key: bytes, version: int = 1) -> bytes | None:
    return await replica.read(hashlib.blake2b(body_of(key, version), digest_size=32).digest())


async def test_originals_are_pulled_once_and_kept(world: SyncWorld, url: str) -> None:
    publish(world, A, B)
    configure(world, REPLICA)
    async with keeping(world, url) as replica:
        await until(whole(replica, 2))
        assert await read(replica, A) == body_of(A) and await read(replica, B) == body_of(B)
        publish(world, C)
        await until(whole(replica, 3))
        # Signed anew, of the same original.
        publish(world, A)
        await until(lambda: world.origin.head.seq == 5)
        assert await read(replica, A) == body_of(A)
    assert sorted(world.origin.pulled) == [(A, 0), (B, 0), (C, 0)]


async def test_no_other_family_s_originals_are_kept(world: SyncWorld, url: str) -> None:
    configure(world, REPLICA)
    publish(world, A)
    publish(world, B, family="hats")
    async with keeping(world, url) as replica:
        await until(whole(replica, 1))
        assert await read(replica, B) is None


async def test_a_restart_pulls_nothing_again(world: SyncWorld, url: str) -> None:
    publish(world, A, B)
    configure(world, REPLICA)
    async with keeping(world, url) as replica:
        await until(whole(replica, 2))
    world.origin.gone = True
    async with keeping(world, url) as replica:
        assert await read(replica, A) == body_of(A)
        await until(whole(replica, 2))
        assert await read(replica, B) == body_of(B)
    assert len(world.origin.pulled) == 2


async def test_what_was_begun_is_gone_on_with(world: SyncWorld, url: str) -> None:
    publish(world, A)
    configure(world, REPLICA)
    name = hashlib.blake2b(body_of(A), digest_size=32).hexdigest()
    begun = world.folder / "replica" / PROPERTY / f"{name}.begun"
    begun.parent.mkdir(parents=True)
    begun.write_bytes(body_of(A)[:700])
    async with keeping(world, url) as replica:
        await until(whole(replica, 1))
        assert await read(replica, A) == body_of(A)
    assert world.origin.pulled == [(A, 700)]


async def test_what_is_revoked_is_dropped(world: SyncWorld, url: str) -> None:
    publish(world, A, B)
    configure(world, REPLICA)
    async with keeping(world, url) as replica:
        await until(whole(replica, 2))
        world.origin.revoke(A)
        await until(whole(replica, 1))
        assert await read(replica, A) is None and await read(replica, B) == body_of(B)


async def test_a_changed_original_takes_the_old_one_s_place(world: SyncWorld, url: str) -> None:
    publish(world, A)
    configure(world, REPLICA)
    async with keeping(world, url) as replica:
        await until(whole(replica, 1))
        world.origin.revoke(A)
        publish(world, A, version=2)
        await until(lambda: len(world.origin.pulled) == 2)
        await until(whole(replica, 1))
        assert await read(replica, A) is None and await read(replica, A, 2) == body_of(A, 2)


async def test_another_way_ends_it(world: SyncWorld, url: str) -> None:
    publish(world, A, B)
    configure(world, REPLICA)
    async with keeping(world, url) as replica:
        await until(whole(replica, 2))
        configure(world, RULES)
        await until(whole(replica, 0))
        assert list((world.folder / "replica" / PROPERTY).iterdir()) == []
        configure(world, REPLICA)
        await until(whole(replica, 2))


async def test_what_does_not_fit_is_named_and_the_rest_kept(world: SyncWorld, url: str) -> None:
    publish(world, A, B, C)
    configure(world, REPLICA)
    size = len(body_of(A))
    async with keeping(world, url, replica_bytes=2 * size) as replica:
        await until(lambda: replica.report().originals == 2)
        report = replica.report()
        assert (report.left_out, report.left_out_bytes, report.missing) == (1, size, 0)
        assert "raise SYNC_REPLICA_BYTES" in report.fault
        told = world.origin.reports
        await until(lambda: (last := told[-1].properties[PROPERTY].replica) and last.fault != "")


async def test_another_original_than_the_record_s_is_not_kept(world: SyncWorld, url: str) -> None:
    """It changed, and its tombstone is on its way: edges go to the origin meanwhile."""
    publish(world, A)
    world.origin.originals[A] = body_of(A, 2)
    configure(world, REPLICA)
    async with keeping(world, url) as replica:
        await until(lambda: "another original" in replica.report().fault)
        assert await read(replica, A) is None and replica.report().missing == 1
        world.origin.originals[A] = body_of(A)
        await until(whole(replica, 1))


async def test_it_waits_for_an_origin_that_is_gone(world: SyncWorld, url: str) -> None:
    configure(world, REPLICA)
    async with keeping(world, url) as replica:
        publish(world, A)
        del world.origin.originals[A]
        await until(lambda: "404" in replica.report().fault)
        world.origin.originals[A] = body_of(A)
        await until(whole(replica, 1))


async def test_a_full_disk_is_told_and_overcome(world: SyncWorld, url: str) -> None:
    publish(world, A)
    configure(world, REPLICA)
    async with keeping(world, url) as replica:
        await until(whole(replica, 1))
        folder = world.folder / "replica" / PROPERTY
        folder.rename(folder.with_name("away"))
        publish(world, B)
        await until(lambda: "cannot keep originals there" in replica.report().fault)
        folder.with_name("away").rename(folder)
        await until(whole(replica, 2))


async def test_a_rotten_original_is_pulled_again(world: SyncWorld, url: str) -> None:
    publish(world, A)
    configure(world, REPLICA)
    async with keeping(world, url) as replica:
        await until(whole(replica, 1))
        name = hashlib.blake2b(body_of(A), digest_size=32).hexdigest()
        (world.folder / "replica" / PROPERTY / name).write_bytes(b"rotten")
        assert await read(replica, A) is None
        await until(whole(replica, 1))
        assert await read(replica, A) == body_of(A)


async def test_a_region_from_a_snapshot_keeps_what_it_had(world: SyncWorld, url: str) -> None:
    publish(world, A, B)
    configure(world, REPLICA)
    async with keeping(world, url) as replica:
        await until(whole(replica, 2))
    world.origin.make_snapshot()
    await forget(url)
    async with keeping(world, url) as replica:
        await until(whole(replica, 2))
    assert len(world.origin.pulled) == 2


async def test_edges_are_given_it_by_its_digest(world: SyncWorld, url: str) -> None:
    publish(world, A)
    configure(world, REPLICA)
    async with agent_of(world, url) as agent:
        await until(whole(agent.replicas[PROPERTY], 1))
        digest = hashlib.blake2b(body_of(A), digest_size=32).digest()
        found = await ask(agent, replica_path(PROPERTY, digest))
        assert (found.status_code, found.content) == (200, body_of(A))
        for path in (
            replica_path(PROPERTY, bytes(32)),
            replica_path("hats", digest),
            f"/v1/replica/{PROPERTY}/../../keys",
            f"/v1/replica/{PROPERTY}/zz",
        ):
            assert (await ask(agent, path)).status_code == 404


async def test_what_it_costs_is_counted(world: SyncWorld, url: str) -> None:
    publish(world, A, B)
    configure(world, REPLICA)
    async with agent_of(world, url) as agent:
        await until(whole(agent.replicas[PROPERTY], 2))
        sums = agent.ledger.meter.totals()
        (carried,) = sums[Carried, (PROPERTY, "replica")]
        size = 2 * len(body_of(A))
        assert size < carried < size + 2_000
        for told in (f'bytes{{property="{PROPERTY}"}} {float(size)}', "pulled_total", "missing"):
            await until(lambda said=told: f"sync_replica_{said}" in metrics_of(agent))


def test_a_replica_needs_to_know_its_families(world: SyncWorld, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="SYNC_REPLICA_DIR: set SYNC_PROPERTIES_DIR"):
        world.settings("redis://localhost", replica_dir=tmp_path)


async def ask(agent: Agent, path: str) -> httpx2.Response:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(create_app(agent))) as client:
        return await client.get(f"http://agent{path}")


def metrics_of(agent: Agent) -> str:
    return agent.metrics.exposition().decode()


async def forget(url: str) -> None:
    """The region's store loses everything."""
    from redis.asyncio import Redis

    async with Redis.from_url(url) as client:
        await client.flushall()
