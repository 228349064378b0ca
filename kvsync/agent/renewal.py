"""Heartbeats of a property's log: how late the region's knowledge of revocations is."""

import time

from kvsync.errors import RolledBack, WrongChain
from kvsync.log import Cursor, Heartbeat
from kvsync.signing import Keyring
from kvsync.store import RecordStore


class Renewal:
    """The newest heartbeat that the region has caught up with, kept in its store.

    ``at_ms`` is when the origin said so, by its clock; ``lag_ms`` how old that was when the
    region came to know.
    """

    def __init__(self, property: str, store: RecordStore, keys: Keyring) -> None:
        self.property = property
        self._store, self._keys = store, keys
        self.signed = b""
        self.seq = self.at_ms = self.lag_ms = 0
        # When the log was last heard of, and how far it went then.
        self.head_at_ms = self.head_seq = 0

    async def resume(self) -> None:
        """Take over what the store has, if it can still be trusted."""
        signed = (await self._store.state(self.property)).heartbeat
        if signed:
            found = Heartbeat.from_signed(signed, self._keys, property=self.property)
            self.signed, self.seq, self.at_ms = signed, found.seq, found.at_ms
            self.head_at_ms, self.head_seq = found.at_ms, found.seq

    async def take(self, signed: bytes, cursor: Cursor) -> bool:
        """Keep a heartbeat that is newer and does not lie ahead of ``cursor``; whether it was.

        Raises :class:`RolledBack` for one that ends before what was known earlier,
        :class:`WrongChain` where the log ends in another batch than the one applied,
        or another :class:`kvsync.errors.RecordError`.
        """
        if signed == self.signed:
            return False
        found = Heartbeat.from_signed(signed, self._keys, property=self.property)
        if found.at_ms <= self.at_ms:
            return False
        if found.at_ms > self.head_at_ms and found.seq < self.head_seq:
            raise RolledBack(
                f"{self.property}: the log ended at {self.head_seq} and now ends at {found.seq}"
            )
        if found.at_ms > self.head_at_ms:
            self.head_at_ms, self.head_seq = found.at_ms, found.seq
        if found.seq > cursor.seq:
            return False
        if found.seq == cursor.seq and found.digest != cursor.digest:
            raise WrongChain(f"{self.property}: the log ends in another batch {found.seq}")
        await self._store.note(self.property, heartbeat=signed)
        self.signed, self.seq, self.at_ms = signed, found.seq, found.at_ms
        self.lag_ms = max(0, int(time.time() * 1_000) - found.at_ms)
        return True
