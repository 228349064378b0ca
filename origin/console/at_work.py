"""Whether a worker serves a folder's queue: it holds a lock there as long as it lives.

The kernel lets go of the lock however the process ends, so the answer is never out of date.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kvsync.errors import InputError

_LOCK = "worker.lock"
# Who asks holds the lock too, for a moment.
_PATIENCE_S = 1.0
_PAUSE_S = 0.02


@contextmanager
def at_work(folder: Path) -> Iterator[None]:
    """Be the folder's worker; :class:`InputError` while another process is."""
    deadline = time.monotonic() + _PATIENCE_S
    with (folder / _LOCK).open("wb") as lock:
        while not _taken(lock.fileno(), fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise InputError(f"{folder}: another worker serves this queue; stop that one first")
            time.sleep(_PAUSE_S)
        yield


def somebody_is_at_work(folder: Path) -> bool:
    """Whether jobs that are asked for now will be done."""
    try:
        with (folder / _LOCK).open("rb") as lock:
            return not _taken(lock.fileno(), fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def _taken(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
