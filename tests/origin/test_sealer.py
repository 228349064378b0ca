"""The log from outbox to stream on a real Valkey: nothing lost, nothing doubled, whatever dies."""

import threading
from pathlib import Path

import pytest
import redis
from sqlalchemy import text

from kvsync.errors import MalformedRecord, StoreUnavailable, Trimmed
from kvsync.log import Configure, Cursor, Heartbeat, Put
from origin.database import Database, next_seq
from origin.sync import chain
from origin.sync.outbox import append, configure
from origin.sync.stream import LogStream
from origin.tables import LogEntryRow
from tests.origin.log_world import SHOP, LogWorld, key_of


@pytest.fixture
def world(tmp_path: Path, store_url: str) -> LogWorld:
    return LogWorld(Database(f"sqlite:///{tmp_path}/origin.db"), store_url)


async def test_what_was_published_is_read_in_order(world: LogWorld) -> None:
    world.publish(1, 2, 3)
    await world.seal()
    world.revoke(2)
    await world.seal()
    entries, cursor = await world.tail()
    assert [(one.seq, type(one).__name__) for one in entries] == [
        (1, "Put"),
        (2, "Put"),
        (3, "Put"),
        (4, "Bury"),
    ]
    assert cursor.seq == 4
    assert (await world.tail(cursor))[0] == []


async def test_a_change_that_is_rolled_back_is_in_no_log(world: LogWorld) -> None:
    with pytest.raises(RuntimeError), world.database.writing() as session:
        append(session, SHOP, [Put(next_seq(session, SHOP), key_of(1), b"record")])
        raise RuntimeError
    world.publish(2)
    await world.seal()
    assert (await world.tail())[0] == [Put(1, key_of(2), b"Put 2 at 1")]


async def test_a_batch_that_was_sealed_and_not_sent_is_sent_by_the_next_sealer(
    world: LogWorld,
) -> None:
    world.publish(1)
    await world.seal()
    world.publish(2)
    [sealed] = chain.seal_next(world.database, world.key, SHOP, world.now_ms)  # and then it dies
    world.publish(3)
    await world.seal()
    entries, _ = await world.tail()
    assert (await world.read(1)).batches[0] == sealed.signed
    assert [one.seq for one in entries] == [1, 2, 3]


async def test_a_batch_that_was_sent_is_not_sent_again(world: LogWorld) -> None:
    world.publish(1)
    await world.seal()
    for _ in range(3):
        await world.seal()
    assert len((await world.read()).batches) == 1


async def test_a_stream_that_was_lost_is_rebuilt_to_the_bit(world: LogWorld) -> None:
    for number in range(5):
        world.publish(number)
        await world.seal()
        world.now_ms += 1_000
    before = await world.read()
    _, cursor = await world.tail()
    world.flush()
    await world.seal()
    assert (await world.read()).batches == before.batches
    assert await world.tail(cursor) == ([], cursor)


async def test_a_stream_lost_under_a_running_sealer_is_rebuilt(world: LogWorld) -> None:
    stream = LogStream(world.url)
    sealer = world.sealer(stream)
    world.publish(1, 2)
    await sealer.step()
    for publish in (True, False):
        world.flush()
        if publish:
            world.publish(3)
        for _ in range(3):
            world.now_ms += 1_000
            await sealer.step()
        assert [one.seq for one in (await world.tail())[0]] == [1, 2, 3]
    await stream.close()


async def test_two_sealers_make_one_chain(world: LogWorld) -> None:
    streams = [LogStream(world.url), LogStream(world.url)]
    sealers = [world.sealer(one) for one in streams]
    for number in range(20):
        world.publish(number)
        await sealers[number % 2].step()
        await sealers[number % 3 % 2].step()
    assert [one.seq for one in (await world.tail())[0]] == list(range(1, 21))
    for one in streams:
        await one.close()


def test_two_that_seal_at_the_same_time_seal_once(world: LogWorld) -> None:
    world.publish(*range(50))
    sealed = []
    start = threading.Barrier(4)

    def seal() -> None:
        database = Database(world.database.url)
        start.wait()
        sealed.append(chain.seal_next(database, world.key, SHOP, 1))

    threads = [threading.Thread(target=seal) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([one for one in sealed if one]) == 1


async def test_a_heartbeat_says_when_nothing_was_missing(world: LogWorld) -> None:
    world.publish(1)
    await world.seal()
    first = Heartbeat.from_signed((await world.read()).heartbeat, world.keys, property=SHOP)
    world.now_ms += 10_000
    await world.seal()
    later = Heartbeat.from_signed((await world.read()).heartbeat, world.keys, property=SHOP)
    assert (first.seq, later.seq) == (1, 1)
    assert later.at_ms - first.at_ms == 10_000


async def test_no_heartbeat_while_something_cannot_be_sealed(world: LogWorld) -> None:
    world.publish(1)
    await world.seal()
    before = (await world.read()).heartbeat
    with world.database.writing() as session:
        next_seq(session, SHOP)  # a number that never became an entry
    world.publish(2)
    world.now_ms += 10_000
    sealer = await world.seal()
    assert "must be numbered from 2" in sealer.faults[SHOP]
    assert await world.read() == await world.read(0) and (await world.read()).heartbeat == before


async def test_many_entries_become_batches_of_bounded_size(world: LogWorld) -> None:
    world.publish(*range(2_500))
    await world.seal()
    answer = await world.read()
    assert [len(chain.sizes(world.database, SHOP, 1)), len(answer.batches)] == [3, 3]
    assert len((await world.tail())[0]) == 2_500


async def test_what_the_sealers_own_process_added_is_what_the_stream_has(world: LogWorld) -> None:
    own = LogStream(world.url)
    sealer = world.sealer(own)
    for number in range(3):
        world.publish(number)
        await sealer.step()
    world.publish(3)
    await world.seal()  # Another process; what it added is read from the stream.
    for after in range(5):
        there, here = await world.read(after), await own.read(SHOP, after, 0)
        assert here.heartbeat == there.heartbeat
        assert here.batches == (there.batches[: 3 - after] or there.batches)
    world.publish(4)
    await sealer.step()
    await sealer.step()
    for after in range(6):
        assert (await own.read(SHOP, after, 0)).batches == (await world.read(after)).batches
    await own.close()


async def test_a_stream_is_trimmed_and_says_so_to_who_is_too_late(world: LogWorld) -> None:
    world.max_bytes = 1_000
    for number in range(20):
        world.publish(number)
        await world.seal()
    with pytest.raises(Trimmed):
        await world.read(0)
    found = chain.sizes(world.database, SHOP, 1)
    kept = await world.read(16)
    assert len(found) == 20 and 0 < len(kept.batches) <= 4
    world.flush()
    await world.seal()
    with pytest.raises(Trimmed):
        await world.read(0)
    assert (await world.read(16)).batches == kept.batches


async def test_a_database_older_than_its_stream_stands_still_and_says_so(
    world: LogWorld, tmp_path: Path
) -> None:
    world.publish(1)
    await world.seal()
    older = LogWorld(Database(f"sqlite:///{tmp_path}/older.db"), world.url)
    older.publish(1)
    world.publish(2)
    await world.seal()
    sealer = await older.seal()
    assert "it is an older one" in sealer.faults[SHOP]
    assert len((await world.tail())[0]) == 2


async def test_an_entry_changed_after_it_was_sealed_stops_the_rebuild(world: LogWorld) -> None:
    world.publish(1)
    await world.seal()
    with world.database.writing() as session:
        session.execute(text("UPDATE log_entries SET content = 'other'"))
    world.flush()
    sealer = await world.seal()
    assert "not what was sealed" in sealer.faults[SHOP]


async def test_one_property_that_stands_still_stops_no_other(world: LogWorld) -> None:
    with world.database.writing() as session:
        configure(session, "hats", b'id = "hats"')
        next_seq(session, "hats")
    world.publish(1)
    sealer = await world.seal()
    assert set(sealer.faults) == {"hats"} and sealer.sealed[SHOP] == 1


async def test_the_log_waits_for_a_server_that_is_gone(world: LogWorld, free_port: int) -> None:
    world.publish(1)
    where, world.url = world.url, f"redis://127.0.0.1:{free_port}"
    sealer = await world.seal()
    assert f"127.0.0.1:{free_port}" in sealer.faults[SHOP]
    with pytest.raises(StoreUnavailable):
        await world.read()
    world.url = where
    await world.seal()
    assert len((await world.tail())[0]) == 1


def test_settings_are_an_entry_only_when_they_change(world: LogWorld) -> None:
    with world.database.writing() as session:
        assert configure(session, SHOP, b"one")
        assert not configure(session, SHOP, b"one")
        assert configure(session, SHOP, b"two")
    with world.database.reading() as session:
        rows = session.query(LogEntryRow).order_by(LogEntryRow.seq).all()
    assert [(row.tag, row.content) for row in rows] == [("property", b"one"), ("property", b"two")]


@pytest.mark.parametrize(
    "entry", [Put(1, bytes(16), bytes(4_097)), Put(1, b"short", b"x"), Configure(1, bytes(70_000))]
)
def test_what_no_reader_could_read_is_not_written(world: LogWorld, entry: Put) -> None:
    with pytest.raises(MalformedRecord), world.database.writing() as session:
        append(session, SHOP, [entry])
    assert chain.heads(world.database)[SHOP] == (0, 0)


async def test_a_reader_ahead_of_the_log_gets_nothing(world: LogWorld) -> None:
    world.publish(1)
    await world.seal()
    assert (await world.read(7)).batches == ()
    assert (await world.tail(Cursor()))[1].seq == 1


def test_the_servers_own_clock_and_name_play_no_part(world: LogWorld) -> None:
    world.run(1, 2)
    with redis.Redis.from_url(world.url) as client:
        names = sorted(client.scan_iter("*"))
    assert names == [b"beat:{shop}", b"head:{shop}", b"log:{shop}"]
