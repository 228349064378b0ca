"""A byte-bounded cache of blobs on disk, shared by processes (LMDB).

Edges keep delivered images in one, regions the renditions they made. A blob is written in one
transaction, so a reader sees all of it or none, also after ``kill -9``. Syncing is left to the
system: after a power cut the newest blobs, or the whole cache, may be gone.

Eviction is CLOCK: blobs leave in the order they came, but one read since its last turn gets
another. Reads are noted in memory only, so that a hit writes nothing.
"""

import hashlib
import shutil
import struct
from collections.abc import Iterable
from pathlib import Path

import lmdb

from kvsync.errors import InputError

_STAMP = struct.Struct(">Q")
_MAX_BLOB_SHARE = 8
_TURN = b"turn"
_BYTES = b"bytes"


class BlobStore:
    """Blobs by key (any bytes), each with tags to purge by.

    ``max_bytes`` bounds the sum of blob sizes; a blob over an eighth of it is not kept.
    Raises :class:`InputError` when the folder cannot be used.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._read: set[bytes] = set()
        try:
            self._env = _open(folder, max_bytes)
        except (lmdb.CorruptedError, lmdb.InvalidError, lmdb.VersionMismatchError):
            # A cache may start again from empty; a damaged one must not stop the service.
            shutil.rmtree(folder)
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
        """Keep ``blob``; False when it is too large to be kept."""
        if len(blob) > self.max_bytes // _MAX_BLOB_SHARE:
            return False
        name = _short(key)
        with self._env.begin(write=True) as txn:
            self._drop(txn, name)
            self._make_room(txn, len(blob))
            turn = self._next_turn(txn)
            txn.put(name, blob, db=self._blobs)
            txn.put(name, turn, db=self._stamps)
            txn.put(turn, name, db=self._turns)
            for tag in set(tags):
                tag_name = _short(tag.encode())
                txn.put(tag_name, name, db=self._tags)
                txn.put(name, tag_name, db=self._tags_of)
            self._add_bytes(txn, len(blob))
        return True

    def delete(self, key: bytes) -> bool:
        with self._env.begin(write=True) as txn:
            return self._drop(txn, _short(key))

    def purge(self, tags: Iterable[str]) -> int:
        """Drop every blob that carries one of ``tags``; how many there were."""
        count = 0
        with self._env.begin(write=True) as txn:
            for tag in tags:
                with txn.cursor(db=self._tags) as cursor:
                    found = cursor.set_key(_short(tag.encode()))
                    names = list(cursor.iternext_dup()) if found else []
                for name in names:
                    count += self._drop(txn, name)
        return count

    def clear(self) -> int:
        """Drop everything; how many blobs there were."""
        with self._env.begin(write=True) as txn:
            count = int(txn.stat(db=self._blobs)["entries"])
            for db in (self._blobs, self._stamps, self._turns, self._tags, self._tags_of):
                txn.drop(db, delete=False)
            txn.put(_BYTES, _STAMP.pack(0), db=self._state)
        return count

    @property
    def bytes_used(self) -> int:
        with self._env.begin(db=self._state) as txn:
            return _number(txn.get(_BYTES))

    def __len__(self) -> int:
        with self._env.begin() as txn:
            return int(txn.stat(db=self._blobs)["entries"])

    def close(self) -> None:
        self._env.close()

    def _make_room(self, txn: lmdb.Transaction, size: int) -> None:
        while _number(txn.get(_BYTES, db=self._state)) + size > self.max_bytes:
            with txn.cursor(db=self._turns) as cursor:
                if not cursor.first():
                    return
                turn, name = (bytes(part) for part in cursor.item())
            if name in self._read:
                self._read.discard(name)
                fresh = self._next_turn(txn)
                txn.delete(turn, db=self._turns)
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
        self._add_bytes(txn, -len(blob))
        return True

    def _add_bytes(self, txn: lmdb.Transaction, change: int) -> None:
        total = _number(txn.get(_BYTES, db=self._state)) + change
        txn.put(_BYTES, _STAMP.pack(total), db=self._state)

    def _next_turn(self, txn: lmdb.Transaction) -> bytes:
        turn = _STAMP.pack(_number(txn.get(_TURN, db=self._state)) + 1)
        txn.put(_TURN, turn, db=self._state)
        return turn


def _open(folder: Path, max_bytes: int) -> lmdb.Environment:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Pages freed by a transaction are reused only by later ones: leave room for both.
        size = max_bytes * 2 + (16 << 20)
        return lmdb.open(str(folder), map_size=size, max_dbs=6, sync=False, max_readers=512)
    except (OSError, lmdb.ReadonlyError, lmdb.DiskError) as error:
        raise InputError(f"{folder}: cannot keep a cache there: {error}") from error


def _short(key: bytes) -> bytes:
    """LMDB keys end at 511 bytes."""
    return hashlib.blake2b(key, digest_size=16).digest()


def _number(raw: bytes | memoryview | None) -> int:
    return int(_STAMP.unpack(raw)[0]) if raw else 0
