"""Records for `bench sync`: signed beforehand, then published, and waited for in every region."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from bench._sync_parts import Bench
from kvsync.log import Bury, Entry, Put
from kvsync.record import Approval, Check, Original, PromptRecipe, RecordBody, Tombstone
from kvsync.signing import SigningKey
from kvsync.store import ValkeyStore
from origin.database import next_seq
from origin.sync.outbox import append

RECORD_BYTES = 512
AT_ONCE = 5_000
# A single record is looked for closely; where many come, looking must not cost what they do.
_LOOK_S, _LOOK_FOR_MANY_S = 0.001, 0.05
_PATIENCE_S = 900.0
_PROMPT, _WIDEST = 67, 5
_MODEL, _CHECK = bytes(range(32)), bytes(range(112))


@dataclass
class Load:
    """The records of one property, numbered from ``first``; ``keys`` are those published."""

    bench: Bench
    property: str
    first: int
    signed: list[bytes] = field(default_factory=list)
    published: int = 0

    @classmethod
    async def of(cls, bench: Bench, property: str) -> "Load":
        """After the property's settings, with which its log begins."""
        while True:
            seqs = [(await store.state(property)).cursor for store in bench.stores.values()]
            if all(seqs):
                break
            await asyncio.sleep(0.05)
        return cls(bench, property, int.from_bytes(seqs[0][:8], "big") + 1)

    def key(self, number: int) -> bytes:
        name = f"{self.property}/{number}".encode()
        return hashlib.blake2b(name, digest_size=16).digest()

    def sign(self, count: int) -> float:
        """Sign as many more; records a second."""
        begun = time.perf_counter()
        start = len(self.signed)
        for number in range(start, start + count):
            asset, seq = self.key(number), self.first + number
            self.signed.append(_signed(self.bench.key, self.property, asset, seq))
        return count / (time.perf_counter() - begun)

    def publish(self, count: int) -> int:
        """The next ``count``, in transactions of :data:`AT_ONCE`; the last sequence."""
        left = count
        while left:
            some = min(left, AT_ONCE)
            start = self.published
            entries = [
                Put(self.first + at, self.key(at), self.signed[at])
                for at in range(start, start + some)
            ]
            self._commit(entries)
            self.published += some
            left -= some
        return self.first + self.published - 1

    def revoke(self, number: int) -> int:
        """Bury one; the sequence. No record can be published after it."""
        with self.bench.database.writing() as session:
            seq = next_seq(session, self.property)
            key = self.key(number)
            signed = Tombstone("tombstone", key, self.property, seq).sign(self.bench.key)
            append(session, self.property, [Bury(seq, key, signed)])
        return seq

    def _commit(self, entries: Sequence[Entry]) -> None:
        with self.bench.database.writing() as session:
            given = next_seq(session, self.property, len(entries))
            if given != entries[0].seq:
                raise RuntimeError(f"{self.property} is at {given}, signed for {entries[0].seq}")
            append(session, self.property, entries)

    async def everywhere(self, seq: int) -> None:
        """Wait until every region has applied the log up to ``seq``."""
        await asyncio.gather(*(self.there(store, seq) for store in self.bench.stores.values()))

    async def there(self, store: ValkeyStore, seq: int) -> None:
        async def come() -> bool:
            cursor = (await store.state(self.property)).cursor
            # A region that came too late for the log has no cursor while it loads a snapshot.
            return len(cursor) > 8 and int.from_bytes(cursor[:8], "big") >= seq

        await until(come, _LOOK_FOR_MANY_S)


async def until(holds: Callable[[], Awaitable[bool]], every_s: float = _LOOK_S) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not await holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {_PATIENCE_S:.0f} s")
        await asyncio.sleep(every_s)


def _signed(key: SigningKey, property: str, asset: bytes, seq: int) -> bytes:
    """A record whose signed form has :data:`RECORD_BYTES`, for properties of six letters."""
    # A number of the sequence is in it twice, and takes one to five bytes.
    spare = 2 * (_WIDEST - len(msgspec.msgpack.encode(seq)))
    body = RecordBody(
        kind="still",
        key=asset,
        property=property,
        family="bench",
        seq=seq,
        recipe=PromptRecipe(_MODEL, "x" * (_PROMPT + spare), seq, 768, 768),
        checks=(Check(0, "grid1", _CHECK),),
        original=Original(f'"{asset.hex()}"', _MODEL, "image/jpeg", 50_000),
        approval=Approval(bytes(8), 1_790_000_000, 91.07, 1.03),
        not_after=2**33,
    )
    return key.sign(msgspec.msgpack.encode(body))
