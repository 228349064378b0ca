"""Look a record up and verify it, at a bounded cost in time."""

import asyncio
import contextlib
import time
from collections.abc import Callable

from edge.breaker import Breaker, Rules, State
from edge.held import HeldEntries
from kvsync.errors import RevokedRecord, StoreUnavailable
from kvsync.property import Property
from kvsync.record import Record, Tombstone
from kvsync.signing import Keyring
from kvsync.store import RecordStore, StoredEntry
from kvsync.wire import Purge

_NOBODYS_KEY = bytes(16)


class Records:
    """Verified records from the region's store. After a failure the store rests for a while, and
    what it said last counts, for as long as the property goes on without it.

    ``stood_in`` is called for every record that was held.
    """

    def __init__(
        self,
        store: RecordStore,
        held: HeldEntries,
        keys: Keyring,
        *,
        timeout_s: float,
        rest_s: float,
        stood_in: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._held = held
        self._stood_in = stood_in
        self._keys = keys
        self._timeout_s = timeout_s
        self._breaker = Breaker(Rules(failures_to_open=1, rest_s=rest_s))

    def state(self) -> State:
        return self._breaker.state(time.monotonic())

    async def find(self, site: Property, key: bytes, *, now: float) -> Record | None:
        """The verified record of an asset, None where there is none; ``now`` is Unix seconds.

        Raises a :class:`kvsync.errors.RecordError` or :class:`StoreUnavailable`.
        """
        try:
            entry = await self._look_up(site.id, key)
        except StoreUnavailable:
            held = self._held.get(site.id, key)
            if held is None or now - held.seen_at > site.revoke_bound_s:
                raise
            self._stood_in()
            return self._verified(held.entry, site.id, key, now)
        self._held.note(site.id, key, entry, now)
        return self._verified(entry, site.id, key, now)

    async def connect(self, property: str, count: int) -> None:
        """Have ``count`` connections to the store, if it is there and not hung."""

        async def one() -> None:
            with contextlib.suppress(StoreUnavailable, TimeoutError):
                async with asyncio.timeout(self._timeout_s):
                    await self._store.get(property, _NOBODYS_KEY)

        await asyncio.gather(*(one() for _ in range(count)))

    def purge(self, wanted: Purge) -> None:
        """Forget what the store said of assets that a purge names: it may come of a revocation
        that the store cannot tell just now."""
        if wanted.everything:
            self._held.clear()
        else:
            self._held.purge(wanted.tags)

    async def close(self) -> None:
        await self._store.close()
        self._held.close()

    def _verified(self, entry: StoredEntry, property: str, key: bytes, now: float) -> Record | None:
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
