"""The buckets that the origin keeps snapshots, models and payloads in: a port, and its version on
a folder.

The version on S3 is :mod:`origin.bucket_s3`. Names are POSIX paths relative to the bucket's place.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from kvsync.errors import InputError, OriginUnavailable
from kvsync.files import write_file

PIECE_BYTES = 1 << 20
"""Of what is larger than the memory so much is read at a time."""


@dataclass(frozen=True)
class Opened:
    """An object as it is read: its bytes, and their number."""

    size: int
    pieces: Iterator[bytes]


class Bucket(Protocol):
    """Objects by name, each there as a whole or not at all. Calls block; each may raise
    :class:`kvsync.errors.OriginUnavailable`, those that write :class:`InputError` too."""

    def read(self, name: str) -> bytes | None:
        """What lies there, None for nothing."""

    def open(self, name: str) -> Opened | None:
        """The same, piece by piece."""

    def write(self, name: str, data: bytes) -> None:
        """Put it there, in the place of what did."""

    def copy_in(self, name: str, source: Path) -> None:
        """Put a file there, which may be larger than the memory."""

    def names(self, folder: str) -> set[str]:
        """The names of all objects below a folder, relative to it."""

    def remove(self, folder: str, names: set[str]) -> None:
        """Take those objects out of a folder; those that are not there, too, are gone then."""

    def folder(self, name: str) -> Path | None:
        """Where a folder lies, or would, if that is on this machine."""


class FolderBucket:
    """A :class:`Bucket` on a folder, which is made when something is first written."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> bytes | None:
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unavailable(self._root / name, error) from error

    def open(self, name: str) -> Opened | None:
        path = self._root / name
        try:
            file = path.open("rb")
            return Opened(os.fstat(file.fileno()).st_size, _pieces(file))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unavailable(path, error) from error

    def write(self, name: str, data: bytes) -> None:
        write_file(self._root / name, data)

    def copy_in(self, name: str, source: Path) -> None:
        target = self._root / name
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with source.open("rb") as read, temporary.open("xb") as written:
                shutil.copyfileobj(read, written, PIECE_BYTES)
                written.flush()
                os.fsync(written.fileno())
            temporary.rename(target)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise InputError(f"{target}: cannot copy {source} there: {error.strerror}") from error

    def names(self, folder: str) -> set[str]:
        path = self._root / folder
        try:
            found = [one.relative_to(path) for one in path.rglob("*") if one.is_file()]
        except OSError as error:
            raise _unavailable(path, error) from error
        # Others are being written.
        return {one.as_posix() for one in found if not one.name.startswith(".")}

    def remove(self, folder: str, names: set[str]) -> None:
        path = self._root / folder
        for name in names:
            try:
                (path / name).unlink(missing_ok=True)
            except OSError as error:
                raise _unavailable(path / name, error) from error
        _remove_empty(path)

    def folder(self, name: str) -> Path | None:
        return self._root / name


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _remove_empty(root: Path) -> None:
    """The folder and those below it, as far as nothing is in them: S3 has no empty folders."""
    below = sorted((one for one in root.rglob("*") if one.is_dir()), reverse=True)
    for folder in (*below, root):
        try:
            folder.rmdir()
        except OSError:
            continue  # Something is in it, or it is gone.


def _unavailable(path: Path, error: OSError) -> OriginUnavailable:
    return OriginUnavailable(f"{path}: {error.strerror}")
