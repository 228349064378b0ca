"""Look a record up and verify it, at a bounded cost in time."""

import asyncio
import time

from edge.breaker import Breaker, Rules, State
from kvsync.errors import RevokedRecord, StoreUnavailable
from kvsync.record import Record, Tombstone
from kvsync.signing import Keyring
from kvsync.store import RecordStore, StoredEntry


class Records:
    """Verified records from the region's store. After a failure the store rests for a while."""

    def __init__(
        self, store: RecordStore, keys: Keyring, *, timeout_s: float, rest_s: float
    ) -> None:
        self._store = store
        self._keys = keys
        self._timeout_s = timeout_s
        self._breaker = Breaker(Rules(failures_to_open=1, rest_s=rest_s))

    def state(self) -> State:
        return self._breaker.state(time.monotonic())

    async def find(self, property: str, key: bytes, *, now: float) -> Record | None:
        """The verified record of an asset, None where there is none; ``now`` is Unix seconds.

        Raises a :class:`kvsync.errors.RecordError` or :class:`StoreUnavailable`.
        """
        entry = await self._look_up(property, key)
        buried_seq = -1
        if entry.tombstone is not None:
            buried = Tombstone.from_signed(entry.tombstone, self._keys, key=key, property=property)
            buried_seq = buried.seq
        if entry.record is None:
            if buried_seq >= 0:
                raise RevokedRecord(f"revoked by tombstone {buried_seq}, not published since")
            return None
        return Record.from_signed(
            entry.record, self._keys, key=key, property=property, now=now, buried_seq=buried_seq
        )

    async def close(self) -> None:
        await self._store.close()

    async def _look_up(self, property: str, key: bytes) -> StoredEntry:
        self._breaker, admitted = self._breaker.admit(time.monotonic())
        if not admitted:
            raise StoreUnavailable("the key-value store did not answer lately; not asked")
        try:
            async with asyncio.timeout(self._timeout_s):
                entry = await self._store.get(property, key)
        except (TimeoutError, StoreUnavailable) as error:
            self._breaker = self._breaker.failed(time.monotonic())
            raise StoreUnavailable(f"the key-value store: {error or 'no answer'}") from error
        self._breaker = self._breaker.succeeded()
        return entry
