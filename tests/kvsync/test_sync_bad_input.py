"""What nobody here can use is counted, and the log goes on."""

import msgspec
from msgspec.structs import replace

from kvsync.log import Batch, Put
from kvsync.record import MAX_SIGNED_BYTES
from kvsync.signing import SigningKey
from tests.kvsync.sync_world import (
    PROPERTY,
    SyncWorld,
    as_published,
    everything,
    key_of,
    refused,
    until,
)

A, B, C = key_of(1), key_of(2), key_of(3)


async def test_one_bad_entry_does_not_stop_the_log(world: SyncWorld, url: str) -> None:
    origin = world.origin
    stranger = SigningKey.generate()
    first = origin.head.seq + 1
    unknown = origin.body(B, first + 1, kind="hologram")
    origin.seal(
        Put(first, A, origin.body(A, first).sign(stranger)),
        Put(first + 1, B, origin.signer.sign(msgspec.msgpack.encode(unknown))),
        Put(first + 2, C, origin.body(C, first + 2, not_after=1).sign(origin.signer)),
    )
    origin.publish(key_of(4))
    async with world.agent(url) as agent:
        await until(lambda: agent.ready)
        assert agent.metrics.refused[PROPERTY] == {
            "signing-key": 1,
            "unsupported": 1,
            "expired": 1,
        }
    assert as_published(origin, await everything(url))


async def test_what_is_no_record_of_this_property_is_counted_and_stops_nothing(
    world: SyncWorld, url: str
) -> None:
    origin = world.origin
    first = origin.head.seq + 1
    stray = replace(origin.body(A, first), property="elsewhere").sign(origin.signer)
    misplaced = origin.body(C, first + 1).sign(origin.signer)
    too_large = bytes(MAX_SIGNED_BYTES + 1)
    origin.seal(Put(first, A, stray), Put(first + 1, B, misplaced), Put(first + 2, C, too_large))
    origin.publish(key_of(4))
    async with world.agent(url) as agent:
        await until(lambda: agent.ready)
        assert agent.metrics.refused[PROPERTY] == {"wrong-asset": 2, "malformed": 1}
        found = await everything(url)
    assert found[key_of(4)].record == origin.truth[key_of(4)].signed and C not in found


async def test_what_cannot_be_read_is_held_as_it_was_published_and_no_comparison_names_it(
    world: SyncWorld, url: str
) -> None:
    origin = world.origin
    first = origin.head.seq + 1
    origin.seal(Put(first, A, b"no envelope"), Put(first + 1, B, origin.signer.sign(b"no record")))
    origin.publish(C)
    async with world.agent(url) as agent:
        await until(lambda: agent.ready)
        assert agent.metrics.refused[PROPERTY] == {"malformed": 2}
        for request in (1, 2):
            origin.compare = {PROPERTY: request}
            compared = agent.followers[PROPERTY]
            await until(lambda: compared.compared.request == request, within_s=30)  # noqa: B023
            assert compared.compared.differing == ()
    assert as_published(origin, await everything(url))


async def test_a_log_of_another_property_is_not_followed(world: SyncWorld, url: str) -> None:
    batch = Batch.seal(
        world.origin.signer,
        "elsewhere",
        [Put(1, A, world.origin.body(A, 1).sign(world.origin.signer))],
        after=world.origin.head,
        made_at_ms=world.origin.now_ms,
    )
    world.origin.batches.append(batch)
    async with world.agent(url) as agent:
        await until(lambda: refused(agent, "malformed") + refused(agent, "signing-key") > 0)
    assert await everything(url) == {}
