"""A property whose log is written, sealed and read in tests."""

import asyncio
from dataclasses import dataclass, field

import redis

from kvsync.log import Batch, Bury, Cursor, Entry, Heartbeat, Put
from kvsync.log_answer import LogAnswer
from kvsync.signing import Keyring, SigningKey
from origin.database import Database, ensure_property, next_seq
from origin.sync.outbox import append
from origin.sync.sealer import Sealer
from origin.sync.stream import LogStream

SHOP = "shop"
BEGINNING = Cursor()


def key_of(number: int) -> bytes:
    """An asset key; the range of the first few is their number."""
    return (number % 4096 << 4).to_bytes(2, "big") + number.to_bytes(14, "big")


@dataclass
class LogWorld:
    """One database and one Valkey server; :meth:`sealed` runs a sealer that knows nothing yet."""

    database: Database
    url: str
    key: SigningKey = field(default_factory=SigningKey.generate)
    max_bytes: int = 1 << 20
    now_ms: int = 1_790_000_000_000

    def __post_init__(self) -> None:
        self.keys = Keyring((self.key.trusted_for([SHOP]),))
        with self.database.writing() as session:
            ensure_property(session, SHOP)

    def publish(self, *numbers: int) -> int:
        """Records of assets, in one transaction; the last sequence."""
        return self._write([(number, Put) for number in numbers])

    def revoke(self, *numbers: int) -> int:
        return self._write([(number, Bury) for number in numbers])

    def _write(self, changes: list[tuple[int, type[Put] | type[Bury]]]) -> int:
        with self.database.writing() as session:
            first = next_seq(session, SHOP, len(changes))
            entries: list[Entry] = [
                kind(
                    first + at,
                    key_of(number),
                    b"%s %d at %d" % (kind.__name__.encode(), number, first + at),
                )
                for at, (number, kind) in enumerate(changes)
            ]
            append(session, SHOP, entries)
        return first + len(changes) - 1

    def sealer(self, stream: LogStream) -> Sealer:
        return Sealer(self.database, stream, self.key, self.max_bytes, now_ms=lambda: self.now_ms)

    async def seal(self) -> Sealer:
        """A sealer that starts, does what there is to do, and dies."""
        stream = LogStream(self.url)
        try:
            sealer = self.sealer(stream)
            await sealer.step()
            return sealer
        finally:
            await stream.close()

    async def read(self, after: int = 0) -> LogAnswer:
        stream = LogStream(self.url)
        try:
            return await stream.read(SHOP, after, 0)
        finally:
            await stream.close()

    async def tail(self, after: Cursor = BEGINNING) -> tuple[list[Entry], Cursor]:
        """What a region that is at ``after`` makes of the log, to its end."""
        entries: list[Entry] = []
        while (answer := await self.read(after.seq)).batches:
            for signed in answer.batches:
                batch = Batch.from_signed(signed, self.keys, property=SHOP, after=after)
                entries += [one for one in batch.entries if isinstance(one, Put | Bury)]
                after = batch.cursor
        beat = Heartbeat.from_signed(answer.heartbeat, self.keys, property=SHOP)
        assert (beat.seq, beat.digest) == (after.seq, after.digest)
        return entries, after

    def flush(self) -> None:
        """The log's server loses everything."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def run(self, *numbers: int) -> Cursor:
        """Publish, seal and read to the end, from outside any event loop."""
        self.publish(*numbers)
        asyncio.run(self.seal())
        return asyncio.run(self.tail())[1]
