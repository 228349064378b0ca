"""A byte-bounded cache of blobs on disk, shared by processes (LMDB).

Edges keep delivered images in one, regions the renditions they made. A blob is written in one
transaction, so a reader sees all of it or none, also after ``kill -9``. Syncing is left to the
system: after a power cut the newest blobs, or the whole cache, may be gone.

Eviction is CLOCK: blobs leave in the order they came, but one read since its last turn gets
another. A hit sets one byte of memory that all processes share, and writes nothing.

Purges are numbered, and so are entries. A purge drops what was there when it began, a few entries
per transaction, so that writers wait for milliseconds while one of a million blobs goes on; what
was being made meanwhile is refused by ``put(..., since=mark())``.

A purge that a broken disk cannot take seals the store: nothing is read from it by any process until
it could be emptied. Losing a cache is better than showing what was withdrawn.
"""

import hashlib
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import lmdb

from kvsync.blob_file import open_files
from kvsync.blob_purges import EVERYTHING, PurgeLog
from kvsync.errors import StoreUnavailable

T = TypeVar("T")

_NUMBER = struct.Struct(">Q")
# Turn of eviction, number of the entry, bytes that it counts for, when it was purged softly (Unix
# seconds, 0: it was not).
_STAMP = struct.Struct(">QQQd")
# Entries up to the first number are gone, those up to the second were purged softly, and when.
_FLOORS = struct.Struct(">QQd")
_MAX_BLOB_SHARE = 8
# The smallest blob still needs this much book-keeping.
_MIN_COST = 512
_BATCH = 128
_TURN, _BYTES, _FLOOR = b"turn", b"bytes", b"floor"
_FIRST = b"\0"


@dataclass(frozen=True, slots=True)
class Blob:
    """What lies under a key. ``number`` is another one whenever it is put again; ``soft_at`` is
    when it was purged softly, in Unix seconds, 0.0 if it was not."""

    data: bytes
    number: int
    soft_at: float


class BlobStore:
    """Blobs by key (any bytes), each with tags to purge by.

    ``max_bytes`` bounds the sum of blob sizes, a small one counted as 512 bytes; a blob over an
    eighth of it is not kept. A process opens a folder once. Raises :class:`InputError` when the
    folder cannot be used.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._folder = folder
        self._env, self._marks = open_files(folder, max_bytes)
        self._begin = self._env.begin
        self._blobs = self._env.open_db(b"blobs")
        self._stamps = self._env.open_db(b"stamps")
        self._turns = self._env.open_db(b"turns")
        self._tags = self._env.open_db(b"tags", dupsort=True)
        self._tags_of = self._env.open_db(b"tags_of", dupsort=True)
        self._state = self._env.open_db(b"state")
        self._purges = PurgeLog(self._env.open_db(b"purges"), self._state)

    def get(self, key: bytes) -> bytes | None:
        found = self.read(short(key))
        return None if found is None else found.data

    def read(self, name: bytes) -> Blob | None:
        """What lies under the key whose :func:`short` form is ``name``."""
        if self._marks.sealed:
            return None
        with self._env.begin() as txn:
            stamp = self._stamp(txn, name)
            if stamp is None:
                return None
            data = bytes(txn.get(name, b"", db=self._blobs))
        self._marks.set(self._marks.slot(name))
        return Blob(data, *stamp)

    def same(self, name: bytes, number: int, soft_at: float) -> bool:
        """Whether the blob that was read with these is what lies there now."""
        if self._marks.sealed:
            return False
        with self._env.begin() as txn:
            return self._stamp(txn, name) == (number, soft_at)

    def version(self) -> int:
        """Another one after every change by any process: while it stays, so does all that was
        read."""
        if self._marks.sealed:
            return -1
        # Of what there is to ask, this is the least: a hit asks it.
        txn = self._begin()
        number = txn.id()
        txn.abort()
        return number

    def reader(self, name: bytes) -> Callable[[], None]:
        """To be called for a hit that was answered from a process's own memory."""
        return partial(self._marks.set, self._marks.slot(name))

    def mark(self) -> int:
        """The number of the last purge, for ``put(..., since=...)``."""
        with self._env.begin() as txn:
            return self._purges.last(txn)

    def put(
        self, key: bytes, blob: bytes, tags: Iterable[str] = (), since: int | None = None
    ) -> bool:
        """Keep ``blob``; False when it is too large, the disk space is used up, or a purge later
        than ``since`` would have dropped it. One that would have marked it marks it."""
        cost = _cost(len(blob))
        if cost > self.max_bytes or len(blob) > self.max_bytes // _MAX_BLOB_SHARE:
            return False
        name, labels = short(key), {short(tag.encode()) for tag in tags}

        def change(txn: lmdb.Transaction) -> bool:
            soft_at = 0.0 if since is None else self._purges.since(txn, since, labels)
            if soft_at is None:
                return False
            self._drop(txn, name)
            self._make_room(txn, cost)
            number = self._next_turn(txn)
            txn.put(name, blob, db=self._blobs)
            self._give_turn(txn, name, number, (number, cost, soft_at))
            for label in labels:
                txn.put(label, name, db=self._tags)
                txn.put(name, label, db=self._tags_of)
            self._add_bytes(txn, cost)
            return True

        try:
            if self._marks.sealed:
                self._clear(None)
            return self._write(change)
        except StoreUnavailable:
            return False

    def delete(self, key: bytes) -> bool:
        """Drop one blob; whether it was there."""
        return self._write(lambda txn: self._drop(txn, short(key)))

    def purge(self, tags: Iterable[str], soft_at: float | None = None) -> int:
        """Drop every blob that carries one of ``tags``, or mark it as purged softly at ``soft_at``
        (Unix seconds); how many there were, or 0 when the store had to be sealed instead."""
        try:
            return self._purge(tags, soft_at)
        except (lmdb.Error, StoreUnavailable):
            self._marks.seal(True)
            return 0

    def clear(self, soft_at: float | None = None) -> int:
        """Drop everything, or mark it, at once for whoever asks; how many blobs there were, or 0
        when the store had to be sealed instead."""
        try:
            return self._clear(soft_at)
        except (lmdb.Error, StoreUnavailable):
            self._marks.seal(True)
            return 0

    @property
    def sealed(self) -> bool:
        """Whether a purge failed and nothing may be read until one of everything does not."""
        return self._marks.sealed

    def _purge(self, tags: Iterable[str], soft_at: float | None) -> int:
        labels = sorted({short(tag.encode()) for tag in tags})
        last = self._write(lambda txn: self._note_purge(txn, labels, soft_at))

        def some(label: bytes, start: bytes, txn: lmdb.Transaction) -> tuple[int, bytes | None]:
            with txn.cursor(db=self._tags) as cursor:
                there = cursor.set_range_dup(label, start)
                names = _some(cursor.iternext_dup()) if there else []
            met = sum(self._meet(txn, name, last, soft_at) for name in names)
            return met, names[-1] + _FIRST if len(names) == _BATCH else None

        return sum(self._by_batch(partial(some, label)) for label in labels)

    def _clear(self, soft_at: float | None) -> int:
        def change(txn: lmdb.Transaction) -> tuple[int, int]:
            last = self._note_purge(txn, [EVERYTHING], soft_at)
            dead, soft, at = self._floors(txn)
            floors = (last, soft, at) if soft_at is None else (dead, last, soft_at)
            txn.put(_FLOOR, _FLOORS.pack(*floors), db=self._state)
            return last, int(txn.stat(db=self._blobs)["entries"])

        last, count = self._write(change)
        if soft_at is not None:
            return count
        self._marks.seal(False)

        def some(start: bytes, txn: lmdb.Transaction) -> tuple[int, bytes | None]:
            with txn.cursor(db=self._turns) as cursor:
                there = cursor.set_range(start)
                turns = _some(cursor.iternext(values=False)) if there else []
            names = [bytes(txn.get(turn, b"", db=self._turns)) for turn in turns]
            met = sum(self._meet(txn, name, last, None) for name in names)
            return met, turns[-1] + _FIRST if len(turns) == _BATCH else None

        return self._by_batch(some)

    @property
    def bytes_used(self) -> int:
        with self._env.begin(db=self._state) as txn:
            return _number(txn.get(_BYTES))

    def __len__(self) -> int:
        with self._env.begin() as txn:
            return int(txn.stat(db=self._blobs)["entries"])

    def close(self) -> None:
        self._env.close()
        self._marks.close()

    def _write(self, change: Callable[[lmdb.Transaction], T]) -> T:
        """Run ``change`` in one transaction, again if a killed reader was holding on to space.

        Raises :class:`StoreUnavailable`, with nothing changed, when there is none to be had.
        """
        try:
            with self._env.begin(write=True) as txn:
                return change(txn)
        except lmdb.MapFullError:
            self._env.reader_check()
        try:
            with self._env.begin(write=True) as txn:
                return change(txn)
        except lmdb.MapFullError as error:
            raise StoreUnavailable(
                f"{self._folder}: the cache's file is full and a stopped process may be holding "
                "it; end that process"
            ) from error

    def _by_batch(self, some: Callable[[bytes, lmdb.Transaction], tuple[int, bytes | None]]) -> int:
        """Sum of what ``some`` did, each time in a transaction of its own, on from where it was."""
        count, start = 0, _FIRST
        while True:
            done, rest = self._write(partial(some, start))
            count += done
            if rest is None:
                return count
            start = rest

    def _note_purge(
        self, txn: lmdb.Transaction, labels: Iterable[bytes], soft_at: float | None
    ) -> int:
        """Have a purge known before it begins; the number of the last entry that it may touch."""
        self._purges.note(txn, labels, soft_at)
        return _number(txn.get(_TURN, db=self._state))

    def _meet(self, txn: lmdb.Transaction, name: bytes, last: int, soft_at: float | None) -> bool:
        """Purge one entry, unless it is newer than entry ``last``."""
        turn, number, cost, _ = _STAMP.unpack(txn.get(name, b"", db=self._stamps))
        if number > last:
            return False
        if soft_at is None:
            return self._drop(txn, name)
        return txn.put(name, _STAMP.pack(turn, number, cost, soft_at), db=self._stamps)

    def _stamp(self, txn: lmdb.Transaction, name: bytes) -> tuple[int, float] | None:
        """Number and soft purge of an entry; None where there is none, or none any more."""
        raw = txn.get(name, db=self._stamps)
        if raw is None:
            return None
        _, number, _, soft_at = _STAMP.unpack(raw)
        dead, soft, at = self._floors(txn)
        if number <= dead:
            return None
        return number, soft_at or (at if number <= soft else 0.0)

    def _floors(self, txn: lmdb.Transaction) -> tuple[int, int, float]:
        raw = txn.get(_FLOOR, db=self._state)
        return _FLOORS.unpack(raw) if raw else (0, 0, 0.0)

    def _make_room(self, txn: lmdb.Transaction, cost: int) -> None:
        while _number(txn.get(_BYTES, db=self._state)) + cost > self.max_bytes:
            with txn.cursor(db=self._turns) as cursor:
                if not cursor.first():
                    return
                name = bytes(cursor.value())
            if self._marks.take(self._marks.slot(name)) and self._stamp(txn, name) is not None:
                turn, *rest = _STAMP.unpack(txn.get(name, b"", db=self._stamps))
                txn.delete(_NUMBER.pack(turn), db=self._turns)
                self._give_turn(txn, name, self._next_turn(txn), rest)
            else:
                self._drop(txn, name)

    def _give_turn(
        self, txn: lmdb.Transaction, name: bytes, turn: int, rest: Iterable[float]
    ) -> None:
        txn.put(_NUMBER.pack(turn), name, db=self._turns)
        txn.put(name, _STAMP.pack(turn, *rest), db=self._stamps)

    def _drop(self, txn: lmdb.Transaction, name: bytes) -> bool:
        stamp = txn.pop(name, db=self._stamps)
        if stamp is None:
            return False
        turn, _, cost, _ = _STAMP.unpack(stamp)
        txn.delete(_NUMBER.pack(turn), db=self._turns)
        with txn.cursor(db=self._tags_of) as cursor:
            labels = list(cursor.iternext_dup()) if cursor.set_key(name) else []
        for label in labels:
            txn.delete(bytes(label), name, db=self._tags)
        txn.delete(name, db=self._tags_of)
        txn.delete(name, db=self._blobs)
        self._add_bytes(txn, -cost)
        return True

    def _add_bytes(self, txn: lmdb.Transaction, change: int) -> None:
        total = _number(txn.get(_BYTES, db=self._state)) + change
        txn.put(_BYTES, _NUMBER.pack(total), db=self._state)

    def _next_turn(self, txn: lmdb.Transaction) -> int:
        turn = _number(txn.get(_TURN, db=self._state)) + 1
        txn.put(_TURN, _NUMBER.pack(turn), db=self._state)
        return turn


def short(key: bytes) -> bytes:
    """The name that a key is kept under: LMDB's own end at 511 bytes."""
    return hashlib.blake2b(key, digest_size=16).digest()


def _cost(length: int) -> int:
    return max(length, _MIN_COST)


def _some(found: Iterable[bytes | memoryview]) -> list[bytes]:
    return [bytes(one) for one in islice(found, _BATCH)]


def _number(raw: bytes | memoryview | None) -> int:
    return int(_NUMBER.unpack(raw)[0]) if raw else 0
