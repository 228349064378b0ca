"""Look a record up and verify it, at a bounded cost in time."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from edge.breaker import Breaker, Rules, State
from edge.held import Held, HeldEntries
from kvsync.errors import RecordError, RevokedRecord, StoreUnavailable
from kvsync.property import Property
from kvsync.record import Record, Tombstone
from kvsync.renewals import Renewals, Word, demand_renewed
from kvsync.signing import Keyring
from kvsync.store import RecordStore, StoredEntry
from kvsync.wire import Purge

T = TypeVar("T")

_NOBODYS_KEY = bytes(16)


class Records:
    """Verified records from the region's store. After a failure the store rests for a while, and
    what it said last counts, for as long as the property goes on without it.

    Nor is it asked again about a record within ``local_s`` of its log's time: purges tell of
    changes. ``began`` is when this process did, in Unix seconds. ``stood_in`` is called for every
    record that was held while the store was gone.
    """

    def __init__(
        self,
        store: RecordStore,
        held: HeldEntries,
        keys: Keyring,
        *,
        timeout_s: float,
        rest_s: float,
        local_s: float = 0.0,
        began: float = 0.0,
        stood_in: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._held = held
        self._stood_in = stood_in
        self._keys = keys
        self._renewals = Renewals(store, keys)
        self._timeout_s = timeout_s
        self._local_s = local_s
        self._began = began
        self._breaker = Breaker(Rules(failures_to_open=1, rest_s=rest_s))

    def state(self) -> State:
        return self._breaker.state(time.monotonic())

    async def find(self, site: Property, key: bytes, *, now: float) -> Record | None:
        """The verified record of an asset, None where there is none; ``now`` is Unix seconds.

        Raises a :class:`kvsync.errors.RecordError` or :class:`StoreUnavailable`.
        """
        mark = self._held.mark()
        held = self._held.get(site.id, key)
        try:
            until = (await self._ask(self._renewals.look(site.id))).until
            if held is not None and self._is_current(held, site, until):
                demand_renewed(site, until, now)
                return self._verified(held.entry, site.id, key, now)
            entry = await self._ask(self._store.get(site.id, key))
        except StoreUnavailable:
            demand_renewed(site, self._renewals.last(site.id), now)
            if held is None:
                raise
            demand_renewed(site, held.seen_at, now)
            self._stood_in()
            return self._verified(held.entry, site.id, key, now)
        demand_renewed(site, until, now)
        self._held.note(site.id, key, entry, now if until is None else until, mark)
        return self._verified(entry, site.id, key, now)

    async def word(self, property: str) -> Word | None:
        """What the store says of the property's log; None where it cannot be asked, or says what
        nobody may believe."""
        try:
            return await self._ask(self._renewals.look(property))
        except (StoreUnavailable, RecordError):
            return None

    def shown_at(self, property: str) -> float:
        """What :meth:`note_shown` was told last, by a process before this one too; when this one
        began if it never was."""
        at = self._held.shown_at(property)
        return self._began if at is None else at

    def note_shown(self, property: str, at: float) -> None:
        """Images of records that are kept here are right by what was published up to ``at``."""
        self._held.note_shown(property, at)

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

    def _is_current(self, held: Held, site: Property, until: float | None) -> bool:
        """Whether what was held needs no asking: whoever changes a record has edges purge it, and
        only where that fails is it found out by looking again."""
        if until is None or held.record is None:
            return False
        return 0 <= until - held.seen_at < min(self._local_s, site.goes_on_s)

    async def _ask(self, work: Coroutine[Any, Any, T]) -> T:
        self._breaker, admitted = self._breaker.admit(time.monotonic())
        if not admitted:
            work.close()
            raise StoreUnavailable("the key-value store did not answer lately; not asked")
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await work
        except (TimeoutError, StoreUnavailable) as error:
            self._breaker = self._breaker.failed(time.monotonic())
            raise StoreUnavailable(f"the key-value store: {error or 'no answer'}") from error
        self._breaker = self._breaker.succeeded()
        return answer
