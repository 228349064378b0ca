"""The edge's cache of answers: on disk, bounded in bytes, purged by tag."""

from collections.abc import Iterable
from pathlib import Path

import lmdb
import msgspec

from edge.reply import Reply
from kvsync.blobs import BlobStore
from kvsync.encoding import UNREADABLE
from kvsync.errors import StoreUnavailable

# Part of every key, so that another version's entries are not misread but left to be evicted.
_FORM = b"1:"


class ReplyCache:
    """Answers by cache key. A disk that fails makes misses, not errors; they are counted."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._blobs = BlobStore(folder, max_bytes)
        self.faults = 0

    def get(self, key: bytes) -> Reply | None:
        try:
            blob = self._blobs.get(_FORM + key)
            return None if blob is None else msgspec.msgpack.decode(blob, type=Reply)
        except (lmdb.Error, *UNREADABLE):
            self.faults += 1
            return None

    def put(self, key: bytes, reply: Reply, tags: Iterable[str]) -> bool:
        """Keep ``reply``; False when it was not kept."""
        try:
            return self._blobs.put(_FORM + key, msgspec.msgpack.encode(reply), tags)
        except lmdb.Error:
            self.faults += 1
            return False

    def drop(self, key: bytes) -> None:
        try:
            self._blobs.delete(_FORM + key)
        except (lmdb.Error, StoreUnavailable):
            self.faults += 1

    def purge(self, tags: Iterable[str]) -> int:
        return self._blobs.purge(tags)

    def clear(self) -> int:
        return self._blobs.clear()

    @property
    def bytes_used(self) -> int:
        return self._blobs.bytes_used

    def __len__(self) -> int:
        return len(self._blobs)

    def close(self) -> None:
        self._blobs.close()
