"""Drawn pictures kept on disk by what they were drawn from, the oldest going first.

The console and its worker write into the same folder: what the worker has drawn anyway, nobody
waits for later.
"""

import hashlib
import os
import threading
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec

from kvsync.files import write_file
from kvsync.record import PromptRecipe
from origin.console.settings import ConsoleSettings

Kind = Literal["generated", "original", "difference", "errors", "thumb", "original-thumb"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
OF_THE_RECIPE: Final[tuple[Kind, ...]] = ("generated", "thumb")
"""Those for which the original does not matter."""
OF_THE_ORIGINAL: Final[tuple[Kind, ...]] = ("original", "original-thumb")
"""Those for which nothing is generated."""

# So much is left when the folder was full, so that it is not looked through at every picture.
_LEFT: Final = 0.9


class Pictures:
    """A folder of at most ``most_bytes``, give or take what another process put in meanwhile."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._bytes: int | None = None
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def find(self, name: str) -> bytes | None:
        path = self._path(name)
        try:
            data = path.read_bytes()
            os.utime(path)
        except FileNotFoundError:
            return None
        return data

    def keep(self, name: str, data: bytes) -> None:
        write_file(self._path(name), data)
        with self._lock:
            if self._bytes is not None:
                self._bytes += len(data)
            if self._bytes is None or self._bytes > self._most_bytes:
                self._bytes = self._forget_oldest()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.webp"

    def _forget_oldest(self) -> int:
        """Make room where there is too little; how many bytes are left."""
        kept = sorted(
            ((one.stat().st_mtime, one.stat().st_size, one) for one in self._folder.iterdir()),
            key=lambda one: one[0],
        )
        total = sum(size for _, size, _ in kept)
        if total <= self._most_bytes:
            return total
        for _, size, path in kept:
            if total <= self._most_bytes * _LEFT:
                break
            path.unlink(missing_ok=True)
            total -= size
        return total


def open_pictures(settings: ConsoleSettings) -> Pictures:
    return Pictures(settings.folder / "pictures", settings.pictures_bytes)


def name_of(kind: Kind, model: bytes, recipe: PromptRecipe, source: bytes = b"") -> str:
    """What a picture is kept by; ``source`` is the original's bytes where they matter."""
    parts = (kind.encode(), model, msgspec.msgpack.encode(recipe), source)
    return hashlib.blake2b(b"\0".join(parts), digest_size=16).hexdigest()
