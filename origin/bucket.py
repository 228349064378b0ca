"""The bucket that the origin keeps snapshots in: a port, and its version on a folder.

The version on S3 is :mod:`origin.bucket_s3`. Names are POSIX paths relative to the bucket's place.
"""

from pathlib import Path
from typing import Protocol

from kvsync.errors import OriginUnavailable
from kvsync.files import write_file


class Bucket(Protocol):
    """Objects by name, each there as a whole or not at all. Calls block; each may raise
    :class:`kvsync.errors.OriginUnavailable`, those that write :class:`InputError` too."""

    def read(self, name: str) -> bytes | None:
        """What lies there, None for nothing."""

    def write(self, name: str, data: bytes) -> None:
        """Put it there, in the place of what did."""

    def names(self, folder: str) -> set[str]:
        """The names of all objects in a folder, relative to it."""

    def remove(self, folder: str, names: set[str]) -> None:
        """Take those objects out of a folder; those that are not there, too, are gone then."""


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

    def write(self, name: str, data: bytes) -> None:
        write_file(self._root / name, data)

    def names(self, folder: str) -> set[str]:
        path = self._root / folder
        try:
            names = {one.name for one in path.iterdir()} if path.is_dir() else set()
        except OSError as error:
            raise _unavailable(path, error) from error
        return {name for name in names if not name.startswith(".")}  # Others are being written.

    def remove(self, folder: str, names: set[str]) -> None:
        for name in names:
            try:
                (self._root / folder / name).unlink(missing_ok=True)
            except OSError as error:
                raise _unavailable(self._root / folder / name, error) from error


def _unavailable(path: Path, error: OSError) -> OriginUnavailable:
    return OriginUnavailable(f"{path}: {error.strerror}")
