"""The files under a blob cache: an LMDB environment, and who was read lately."""

import fcntl
import mmap
import os
from pathlib import Path

import lmdb

from kvsync.errors import InputError

_FORM_KEY = b"form"
# Another layout's file is not misread but replaced.
_FORM = b"2"
# Whole pages, free pages between blobs and pages that a reader still holds need room as well:
# random sizes come to 1.2 to 2.4 times the bytes kept.
_MAP_SHARE = 4
_MAP_SLACK = 16 << 20
_READ_SLOTS = 1 << 20


class ReadMarks:
    """One byte per slot of names, shared by all processes: set by a hit, cleared by eviction.

    Names that share a slot share their luck. Nothing is lost with the file but the order of
    eviction, so it is neither locked nor synced.

    One byte more says that nothing may be read any more: a disk that takes no new blocks and no
    writes still has this page in memory, for all processes.
    """

    def __init__(self, folder: Path) -> None:
        with (folder / "reads").open("a+b") as file:
            # A hole that the disk has no room for would kill the process that touches it.
            # One that is all there is left alone: a disk that takes nothing refuses that too.
            status = os.fstat(file.fileno())
            if min(status.st_size, status.st_blocks * 512) <= _READ_SLOTS:
                os.posix_fallocate(file.fileno(), 0, _READ_SLOTS + 1)
            self._map = mmap.mmap(file.fileno(), _READ_SLOTS + 1)

    @property
    def sealed(self) -> bool:
        return self._map[_READ_SLOTS] != 0

    def seal(self, sealed: bool) -> None:
        self._map[_READ_SLOTS] = sealed

    def slot(self, name: bytes) -> int:
        return int.from_bytes(name[:3], "big") % _READ_SLOTS

    def set(self, slot: int) -> None:
        self._map[slot] = 1

    def take(self, slot: int) -> bool:
        """Whether it was read since last asked."""
        was_set = self._map[slot] != 0
        if was_set:
            self._map[slot] = 0
        return was_set

    def close(self) -> None:
        self._map.close()


def open_files(folder: Path, max_bytes: int) -> tuple[lmdb.Environment, ReadMarks]:
    """Open or create; damaged files are replaced. Raises :class:`InputError`."""
    size = max_bytes * _MAP_SHARE + _MAP_SLACK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Of processes that start together, one finds the damage and the others its new files.
        with (folder / "open.lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return _open_or_replace(folder, size), ReadMarks(folder)
    except (OSError, lmdb.Error) as error:
        raise InputError(f"{folder}: cannot keep a cache there: {error}") from error


def _open_or_replace(folder: Path, size: int) -> lmdb.Environment:
    try:
        return _open_whole(folder, size)
    except (lmdb.CorruptedError, lmdb.InvalidError, lmdb.VersionMismatchError):
        # A cache may start again from empty; a damaged one must not stop the service.
        (folder / "data.mdb").unlink(missing_ok=True)
        (folder / "lock.mdb").unlink(missing_ok=True)
        return _open_whole(folder, size)


def _open_whole(folder: Path, size: int) -> lmdb.Environment:
    env = lmdb.open(str(folder), map_size=size, max_dbs=7, sync=False, max_readers=512)
    pages = env.info()["last_pgno"] + 1
    if (folder / "data.mdb").stat().st_size < pages * env.stat()["psize"]:
        env.close()
        # Touching a page past the end would kill the process.
        raise lmdb.CorruptedError("the file was cut short")
    env.reader_check()
    if not _of_this_form(env):
        env.close()
        raise lmdb.VersionMismatchError("the file has another layout")
    return env


def _of_this_form(env: lmdb.Environment) -> bool:
    with env.begin(write=True) as txn:
        if txn.stat()["entries"] == 0:
            txn.put(_FORM_KEY, _FORM)
        return bool(txn.get(_FORM_KEY) == _FORM)
