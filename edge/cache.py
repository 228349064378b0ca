"""The edge's cache of answers: on disk, bounded in bytes, purged by tag."""

import struct
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import lmdb
import msgspec

from edge.rules.stored import Body, Cached, Entry, Stored, Variants, decode, encode
from kvsync.blobs import Blob, BlobStore, short
from kvsync.encoding import UNREADABLE
from kvsync.errors import StoreUnavailable

# Part of every key, so that another version's entries are not misread but left to be evicted.
_FORM = b"1:"
_LENGTH = struct.Struct(">I")
# No single response pushes more than this share of the others out of memory.
_MAX_MEMORY_SHARE = 8


@dataclass(slots=True)
class _Held:
    """A response in memory, and by which signs the store says that it is still the one there."""

    name: bytes
    number: int
    soft_at: float
    version: int
    size: int
    found: Cached | Variants
    note_read: Callable[[], None]


class ResponseCache:
    """Responses by key, for all worker processes of a PoP; those in demand also in memory.

    What lies in memory is served only while the store says that it is still what lies there, so a
    purge by any process counts at once. A disk that fails makes misses, not errors; they are
    counted.
    """

    def __init__(self, folder: Path, max_bytes: int, memory_bytes: int) -> None:
        self._blobs = BlobStore(folder, max_bytes)
        self._memory: OrderedDict[bytes, _Held] = OrderedDict()
        self._memory_bytes = memory_bytes
        self.held_bytes = 0
        self.faults = 0

    def get(self, key: bytes) -> Cached | Variants | None:
        """What lies under ``key``; stale from its soft purge on, if there was one."""
        try:
            version = self._blobs.version()
            held = self._memory.get(key)
            if held is None:
                return self._read(key, version)
            if held.version != version:
                if not self._blobs.same(held.name, held.number, held.soft_at):
                    self._let_go(key)
                    return self._read(key, version)
                held.version = version
            self._memory.move_to_end(key)
            held.note_read()
            return held.found
        except (lmdb.Error, struct.error, *UNREADABLE):
            self.faults += 1
            return None

    def mark(self) -> int:
        """Take it before asking for what is to be kept: see :meth:`put`."""
        return self._blobs.mark()

    def put(self, key: bytes, entry: Entry, body: Body, tags: Iterable[str], since: int) -> bool:
        """Keep a response; False when it was not kept, or a purge after ``since`` was for it."""
        told = encode(entry)
        try:
            blob = b"".join((_LENGTH.pack(len(told)), told, body))
            return self._blobs.put(_FORM + key, blob, tags, since)
        except lmdb.Error:
            self.faults += 1
            return False

    def drop(self, key: bytes) -> None:
        try:
            self._blobs.delete(_FORM + key)
        except (lmdb.Error, StoreUnavailable):
            self.faults += 1

    def purge(self, tags: Iterable[str], soft_at: float | None = None) -> int:
        """Drop what carries one of the tags, or have it stale from ``soft_at`` on (Unix seconds);
        how many there were."""
        return self._blobs.purge(tags, soft_at)

    def clear(self, soft_at: float | None = None) -> int:
        return self._blobs.clear(soft_at)

    @property
    def sealed(self) -> bool:
        """Whether nothing is read because a purge could not be written."""
        return self._blobs.sealed

    @property
    def bytes_used(self) -> int:
        return self._blobs.bytes_used

    def __len__(self) -> int:
        return len(self._blobs)

    def close(self) -> None:
        self._memory.clear()
        self._blobs.close()

    def _read(self, key: bytes, version: int) -> Cached | Variants | None:
        name = short(_FORM + key)
        blob = self._blobs.read(name)
        if blob is None:
            return None
        found, size = _parsed(blob), len(blob.data)
        if size <= self._memory_bytes // _MAX_MEMORY_SHARE:
            self._memory[key] = _Held(
                name,
                blob.number,
                blob.soft_at,
                version,
                size,
                found,
                self._blobs.reader(name),
            )
            self.held_bytes += size
            while self.held_bytes > self._memory_bytes:
                self._let_go(next(iter(self._memory)))
        return found

    def _let_go(self, key: bytes) -> None:
        self.held_bytes -= self._memory.pop(key).size


def softened(stored: Stored, at: float) -> Stored:
    """A response that is stale from ``at`` on (Unix seconds): each grace that it was given counts
    from then, and where it was given none there is none."""
    early = stored.fresh_until - at
    if early <= 0:
        return stored
    return msgspec.structs.replace(
        stored,
        fresh_until=at,
        revalidating_until=stored.revalidating_until - early,
        on_error_until=stored.on_error_until - early,
    )


def _parsed(blob: Blob) -> Cached | Variants:
    start = _LENGTH.size + _LENGTH.unpack_from(blob.data)[0]
    entry = decode(memoryview(blob.data)[_LENGTH.size : start])
    if isinstance(entry, Variants):
        return entry
    if blob.soft_at:
        entry = softened(entry, blob.soft_at)
    return Cached(entry, memoryview(blob.data)[start:])
