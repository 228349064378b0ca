"""A byte-bounded cache of blobs on disk, shared by processes (LMDB).

Edges keep delivered images in one, regions the renditions they made. A blob is written in one
transaction, so a reader sees all of it or none, also after ``kill -9``. Syncing is left to the
system: after a power cut the newest blobs, or the whole cache, may be gone.

Eviction is CLOCK: blobs leave in the order they came, but one read since its last turn gets
another. Reads are noted in memory only, so that a hit writes nothing.
"""

import fcntl
import hashlib
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import lmdb

from kvsync.errors import InputError, StoreUnavailable

T = TypeVar("T")

_STAMP = struct.Struct(">Q")
_MAX_BLOB_SHARE = 8
# The smallest blob still needs this much book-keeping.
_MIN_COST = 512
# Whole pages, free pages between blobs and pages that a reader still holds need room as well:
# random sizes come to 1.2 to 2.4 times the bytes kept.
_MAP_SHARE = 4
_MAP_SLACK = 16 << 20
_TURN = b"turn"
_BYTES = b"bytes"


class BlobStore:
    """Blobs by key (any bytes), each with tags to purge by.

    ``max_bytes`` bounds the sum of blob sizes, a small one counted as 512 bytes; a blob over an
    eighth of it is not kept. A process opens a folder once. Raises :class:`InputError` when the
    folder cannot be used.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._folder = folder
        self._read: set[bytes] = set()
        self._env = _open(folder, max_bytes)
        self._blobs = self._env.open_db(b"blobs")
        self._stamps = self._env.open_db(b"stamps")
        self._turns = self._env.open_db(b"turns")
        self._tags = self._env.open_db(b"tags", dupsort=True)
        self._tags_of = self._env.open_db(b"tags_of", dupsort=True)
        self._state = self._env.open_db(b"state")

    def get(self, key: bytes) -> bytes | None:
        name = _short(key)
        with self._env.begin(db=self._blobs) as txn:
            blob: bytes | None = txn.get(name)
        if blob is not None:
            self._read.add(name)
        return blob

    def put(self, key: bytes, blob: bytes, tags: Iterable[str] = ()) -> bool:
        """Keep ``blob``; False when it is too large or the disk space is used up."""
        cost = _cost(blob)
        if cost > self.max_bytes or len(blob) > self.max_bytes // _MAX_BLOB_SHARE:
            return False
        name, labels = _short(key), {_short(tag.encode()) for tag in tags}

        def change(txn: lmdb.Transaction) -> None:
            self._drop(txn, name)
            self._make_room(txn, cost)
            turn = self._next_turn(txn)
            txn.put(name, blob, db=self._blobs)
            txn.put(name, turn, db=self._stamps)
            txn.put(turn, name, db=self._turns)
            for label in labels:
                txn.put(label, name, db=self._tags)
                txn.put(name, label, db=self._tags_of)
            self._add_bytes(txn, cost)

        try:
            self._write(change)
        except StoreUnavailable:
            return False
        return True

    def delete(self, key: bytes) -> bool:
        """Drop one blob; whether it was there."""
        return self._write(lambda txn: self._drop(txn, _short(key)))

    def purge(self, tags: Iterable[str]) -> int:
        """Drop every blob that carries one of ``tags``; how many there were."""
        labels = {_short(tag.encode()) for tag in tags}

        def change(txn: lmdb.Transaction) -> int:
            count = 0
            for label in labels:
                with txn.cursor(db=self._tags) as cursor:
                    names = list(cursor.iternext_dup()) if cursor.set_key(label) else []
                for name in names:
                    count += self._drop(txn, bytes(name))
            return count

        return self._write(change)

    def clear(self) -> int:
        """Drop everything; how many blobs there were."""

        def change(txn: lmdb.Transaction) -> int:
            count = int(txn.stat(db=self._blobs)["entries"])
            for db in (self._blobs, self._stamps, self._turns, self._tags, self._tags_of):
                txn.drop(db, delete=False)
            txn.put(_BYTES, _STAMP.pack(0), db=self._state)
            return count

        self._read.clear()
        return self._write(change)

    @property
    def bytes_used(self) -> int:
        with self._env.begin(db=self._state) as txn:
            return _number(txn.get(_BYTES))

    def __len__(self) -> int:
        with self._env.begin() as txn:
            return int(txn.stat(db=self._blobs)["entries"])

    def close(self) -> None:
        self._env.close()

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

    def _make_room(self, txn: lmdb.Transaction, cost: int) -> None:
        if len(self._read) > 2 * int(txn.stat(db=self._blobs)["entries"]):
            self._read.clear()  # names that other processes dropped would pile up
        while _number(txn.get(_BYTES, db=self._state)) + cost > self.max_bytes:
            with txn.cursor(db=self._turns) as cursor:
                if not cursor.first():
                    return
                turn, name = (bytes(part) for part in cursor.item())
            txn.delete(turn, db=self._turns)
            if name in self._read:
                self._read.discard(name)
                fresh = self._next_turn(txn)
                txn.put(fresh, name, db=self._turns)
                txn.put(name, fresh, db=self._stamps)
            else:
                self._drop(txn, name)

    def _drop(self, txn: lmdb.Transaction, name: bytes) -> bool:
        blob = txn.pop(name, db=self._blobs)
        if blob is None:
            return False
        self._read.discard(name)
        turn = txn.pop(name, db=self._stamps)
        if turn is not None:
            txn.delete(turn, db=self._turns)
        with txn.cursor(db=self._tags_of) as cursor:
            tags = list(cursor.iternext_dup()) if cursor.set_key(name) else []
        for tag in tags:
            txn.delete(tag, name, db=self._tags)
        txn.delete(name, db=self._tags_of)
        self._add_bytes(txn, -_cost(bytes(blob)))
        return True

    def _add_bytes(self, txn: lmdb.Transaction, change: int) -> None:
        total = _number(txn.get(_BYTES, db=self._state)) + change
        txn.put(_BYTES, _STAMP.pack(total), db=self._state)

    def _next_turn(self, txn: lmdb.Transaction) -> bytes:
        turn = _STAMP.pack(_number(txn.get(_TURN, db=self._state)) + 1)
        txn.put(_TURN, turn, db=self._state)
        return turn


def _open(folder: Path, max_bytes: int) -> lmdb.Environment:
    size = max_bytes * _MAP_SHARE + _MAP_SLACK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Of processes that start together, one finds the damage and the others its new files.
        with (folder / "open.lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                return _open_whole(folder, size)
            except (lmdb.CorruptedError, lmdb.InvalidError, lmdb.VersionMismatchError):
                # A cache may start again from empty; a damaged one must not stop the service.
                (folder / "data.mdb").unlink(missing_ok=True)
                (folder / "lock.mdb").unlink(missing_ok=True)
                return _open_whole(folder, size)
    except (OSError, lmdb.Error) as error:
        raise InputError(f"{folder}: cannot keep a cache there: {error}") from error


def _open_whole(folder: Path, size: int) -> lmdb.Environment:
    env = lmdb.open(str(folder), map_size=size, max_dbs=6, sync=False, max_readers=512)
    pages = env.info()["last_pgno"] + 1
    if (folder / "data.mdb").stat().st_size < pages * env.stat()["psize"]:
        env.close()
        # Touching a page past the end would kill the process.
        raise lmdb.CorruptedError("the file was cut short")
    env.reader_check()
    return env


def _cost(blob: bytes) -> int:
    return max(len(blob), _MIN_COST)


def _short(key: bytes) -> bytes:
    """LMDB keys end at 511 bytes."""
    return hashlib.blake2b(key, digest_size=16).digest()


def _number(raw: bytes | memoryview | None) -> int:
    return int(_STAMP.unpack(raw)[0]) if raw else 0
