"""Originals on a region's disk, by property and digest: whole and checked, or not there.

What was begun stays beside them under another name and is gone on with. Calls block.
"""

import hashlib
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from kvsync.errors import InputError

_BEGUN = ".begun"
_DIGEST_HEX = 64
_PIECE_BYTES = 1 << 20


class OriginalFiles:
    """One property's originals in ``folder``; raises :class:`InputError` for a disk that does not
    take or give what it should. ``held`` are their sizes by digest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.held = {digest: path.stat().st_size for digest, path in self._whole()}
        except OSError as error:
            raise self._broken(error) from error
        self.bytes = sum(self.held.values())

    def read(self, digest: bytes) -> bytes | None:
        """An original's bytes; None where it is not held, or not any more what it was."""
        if digest not in self.held:
            return None
        path = self._path(digest)
        try:
            data = path.read_bytes()
        except OSError:
            data = b""
        if _digest(data) == digest:
            return data
        self.drop(digest)
        return None

    def begun(self, digest: bytes) -> int:
        """How many bytes of an original are there that is not whole yet."""
        try:
            return self._begun(digest).stat().st_size
        except OSError:
            return 0

    def add(self, digest: bytes, piece: bytes, at: int) -> None:
        """Go on with what was begun from byte ``at`` on; what lay there is gone."""
        try:
            with self._begun(digest).open("r+b" if at else "wb") as file:
                file.truncate(at)
                file.seek(at)
                file.write(piece)
        except OSError as error:
            raise self._broken(error) from error

    def finish(self, digest: bytes) -> bool:
        """Keep what was begun if it is the original, else forget it; whether it was."""
        path = self._begun(digest)
        try:
            found, size = hashlib.blake2b(digest_size=32), 0
            with path.open("rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    found.update(piece)
                    size += len(piece)
                os.fsync(file.fileno())
            if found.digest() != digest:
                path.unlink()
                return False
            path.replace(self._path(digest))
        except OSError as error:
            raise self._broken(error) from error
        self.bytes += size - self.held.get(digest, 0)
        self.held[digest] = size
        return True

    def drop(self, digest: bytes) -> None:
        self.bytes -= self.held.pop(digest, 0)
        with suppress(FileNotFoundError):
            self._path(digest).unlink()

    def keep_only(self, digests: Collection[bytes]) -> None:
        """Drop all others, and what was begun of them."""
        names = {one.hex() for one in digests}
        try:
            for digest in set(self.held).difference(digests):
                self.drop(digest)
            for path in self._folder.glob(f"*{_BEGUN}"):
                if path.name.removesuffix(_BEGUN) not in names:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise self._broken(error) from error

    def _whole(self) -> Iterator[tuple[bytes, Path]]:
        for path in self._folder.iterdir():
            if len(path.name) == _DIGEST_HEX:
                yield bytes.fromhex(path.name), path

    def _path(self, digest: bytes) -> Path:
        return self._folder / digest.hex()

    def _begun(self, digest: bytes) -> Path:
        return self._folder / f"{digest.hex()}{_BEGUN}"

    def _broken(self, error: OSError) -> InputError:
        return InputError(f"{self._folder}: cannot keep originals there: {error.strerror}")


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()
