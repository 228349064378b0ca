"""The last word of the region's store on each asset, for when the store cannot be asked.

A record is a few hundred bytes, so a PoP can hold those of everything that it serves. Without them
an image that left the cache could not be rehydrated while the store is gone, and with the origin
gone as well it could not be had at all.
"""

from collections.abc import Iterable
from pathlib import Path

import lmdb
import msgspec

from kvsync.blobs import BlobStore
from kvsync.encoding import UNREADABLE
from kvsync.errors import StoreUnavailable
from kvsync.store import StoredEntry

# Written again only this often, so that looking up stays reading; those of a strict property
# before they are too old to be used.
_CONFIRM_S = 10.0
_NOTHING = StoredEntry()
# In the place of an asset key, which is longer.
_SHOWN = b"shown"


class Held(msgspec.Struct, frozen=True, array_like=True):
    """``seen_at`` (Unix seconds): of every revocation up to then the store knew."""

    record: bytes | None
    tombstone: bytes | None
    seen_at: float

    @property
    def entry(self) -> StoredEntry:
        return StoredEntry(self.record, self.tombstone)


class HeldEntries:
    """Entries by property and asset key on disk, shared by processes. A disk that fails holds
    less; ``faults`` counts that."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._blobs = BlobStore(folder, max_bytes)
        self.faults = 0

    def get(self, property: str, key: bytes) -> Held | None:
        try:
            blob = self._blobs.get(_name(property, key))
            return None if blob is None else msgspec.msgpack.decode(blob, type=Held)
        except (lmdb.Error, *UNREADABLE):
            self.faults += 1
            return None

    def mark(self) -> int:
        """Of the last purge, for :meth:`note`."""
        return self._blobs.mark()

    def note(
        self, property: str, key: bytes, entry: StoredEntry, seen_at: float, since: int
    ) -> None:
        """Hold what the store said; nothing where it knows nothing of the asset, and nothing that
        a purge after the mark ``since`` may have been meant for."""
        held = self.get(property, key)
        if held is None and entry == _NOTHING:
            return
        if held is not None and held.entry == entry and 0 <= seen_at - held.seen_at < _CONFIRM_S:
            return
        try:
            if entry == _NOTHING:
                self._blobs.delete(_name(property, key))
            else:
                new = msgspec.msgpack.encode(Held(entry.record, entry.tombstone, seen_at))
                self._blobs.put(_name(property, key), new, (key.hex(), property), since)
        except (lmdb.Error, StoreUnavailable):
            self.faults += 1

    def shown_at(self, property: str) -> float | None:
        """What :meth:`note_shown` was told last; None if it never was, or is not known any more."""
        held = self.get(property, _SHOWN)
        return None if held is None else held.seen_at

    def note_shown(self, property: str, at: float) -> None:
        """Keep, for processes to come, up to when what is shown of a property is right."""
        before = self.shown_at(property)
        if before is not None and 0 <= at - before < _CONFIRM_S:
            return
        try:
            new = msgspec.msgpack.encode(Held(None, None, at))
            self._blobs.put(_name(property, _SHOWN), new)
        except (lmdb.Error, StoreUnavailable):
            self.faults += 1

    def purge(self, tags: Iterable[str]) -> None:
        """Hold nothing any more of these asset keys (in hex) or properties."""
        self._blobs.purge(tags)

    def clear(self) -> None:
        self._blobs.clear()

    def close(self) -> None:
        self._blobs.close()


def _name(property: str, key: bytes) -> bytes:
    return property.encode() + b":" + key
