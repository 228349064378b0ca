"""Minutes that the ledger does not have yet: each a file, until it says that it has it.

What was written survives ``kill -9``, of this process and of those that share the folder: whoever
of them is asked hands out what all have written.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

import msgspec

from kvsync.encoding import UNREADABLE
from kvsync.errors import InputError
from kvsync.files import write_file
from kvsync.ledger import Minute, MinuteName

_log = logging.getLogger(__name__)
_SUFFIX = ".minute"


class Spool:
    """Minutes in ``folder``, dropped when they are ``keep_s`` old and still nobody took them."""

    def __init__(self, folder: Path, keep_s: float) -> None:
        self._folder = folder
        self._keep_s = keep_s

    def add(self, minute: Minute) -> None:
        """Raises :class:`InputError` when it cannot be written: it was not added then."""
        write_file(self._path(minute.name), msgspec.msgpack.encode(minute))

    def oldest(self, most_bytes: int) -> list[Minute]:
        """The oldest, about ``most_bytes`` of them and at least one, where there is any."""
        minutes: list[Minute] = []
        size = 0
        for path in self._paths():
            raw = _read(path)
            if raw is None:
                continue
            if minutes and size + len(raw) > most_bytes:
                break
            try:
                minutes.append(msgspec.msgpack.decode(raw, type=Minute))
                size += len(raw)
            except UNREADABLE as error:
                # Another version's: it would never be taken, and hold up those behind it.
                _log.error("%s: not a minute of a ledger, removed: %s", path, error)
                path.unlink(missing_ok=True)
        return minutes

    def confirm(self, names: Iterable[MinuteName]) -> int:
        """Drop minutes that the ledger has; how many there were."""
        dropped = 0
        for name in names:
            path = self._path(name)
            try:
                path.unlink()
                dropped += 1
            except FileNotFoundError:
                continue  # confirmed before
            except OSError as error:
                raise InputError(f"{path}: cannot be removed: {error.strerror}") from error
        return dropped

    def drop_old(self, now: float) -> int:
        """Drop what is past its age; how many minutes that were."""
        old = [path for path in self._paths() if _start(path) <= now - self._keep_s]
        for path in old:
            path.unlink(missing_ok=True)
        if old:
            _log.error(
                "%s: %d minutes were not taken in time, and are lost", self._folder, len(old)
            )
        return len(old)

    def __len__(self) -> int:
        return len(self._paths())

    def _paths(self) -> list[Path]:
        """The files, oldest minute first."""
        return sorted(self._folder.glob(f"*{_SUFFIX}"), key=lambda path: (_start(path), path.name))

    def _path(self, name: MinuteName) -> Path:
        # A worker's name may be any: in hex it is a file's name as well.
        return self._folder / f"{name.start}-{name.worker.encode().hex()}{_SUFFIX}"


def _start(path: Path) -> int:
    start = path.name.partition("-")[0]
    return int(start) if start.isdecimal() else 0


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None  # Confirmed meanwhile, by another process.
