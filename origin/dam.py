"""The asset store (DAM) that originals are read from: a port, and its version on a folder.

The version on S3 is :mod:`origin.dam_s3`. Names are POSIX paths relative to the store's root;
one that could leave it is not found, whatever it points at. Calls block: a service runs them in
threads.
"""

import hashlib
import mimetypes
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from kvsync.errors import InputError, OriginUnavailable, RequestError
from kvsync.files import write_file

_FALLBACK_TYPE = "application/octet-stream"
# Python 3.11 knows neither by itself.
_TYPES = {".avif": "image/avif", ".webp": "image/webp"}


class AssetNotFound(RequestError):
    status = 404
    reason = "not-found"


@dataclass(frozen=True, slots=True)
class AssetInfo:
    """What a store says about one original: strong ETag (quoted), time, bytes, media type."""

    name: str
    etag: str
    last_modified: datetime
    size: int
    media_type: str


class Dam(Protocol):
    """Originals by name. Each method may raise :class:`kvsync.errors.OriginUnavailable`."""

    def check(self) -> None:
        """Raise unless the store can be asked now."""

    def list(self) -> Iterator[str]:
        """Every name, sorted."""

    def etags(self) -> Iterator[tuple[str, str]]:
        """Every name with its ETag: what a look at each would say, at the price of a listing."""

    def name_of_key(self, key: str) -> str | None:
        """The name of what an event of the store calls ``key``; None if it is not in here."""

    def stat(self, name: str) -> AssetInfo:
        """:class:`AssetNotFound` when there is no such original."""

    def open(self, name: str) -> tuple[AssetInfo, bytes]:
        """The original's bytes, and what the store says of exactly these bytes."""

    def put(self, name: str, data: bytes) -> None:
        """Keep an original under ``name``, in the place of one that was there."""


def content_digest(data: bytes) -> bytes:
    """BLAKE2b-256: names an original's bytes in records, whatever its store calls them."""
    return hashlib.blake2b(data, digest_size=32).digest()


def media_type_of(name: str) -> str:
    suffix = os.path.splitext(name)[1].lower()
    return _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or _FALLBACK_TYPE


def name_of_path(path: str, prefix: str) -> str:
    """The name in the store of a canonical URL path below ``prefix``.

    An escaped slash is data in a URL but a separator in a store, so it is not found there.
    """
    if not path.startswith(prefix) or "%2F" in path:
        raise AssetNotFound(f"no asset {path!r} here")
    try:
        return checked_name(unquote(path.removeprefix(prefix), errors="strict"))
    except UnicodeDecodeError as error:
        raise AssetNotFound(f"no asset {path!r} here: not UTF-8") from error


def checked_name(name: str) -> str:
    """``name`` if it stays below the root; :class:`AssetNotFound` if it might not."""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in name or "\0" in name:
        raise AssetNotFound(f"no asset {name[:200]!r} here")
    return name


class FolderDam:
    """A :class:`Dam` on a folder. ETags are content digests, remembered while a file's
    modification time, size and inode stay as they are. Hidden files and links that lead out of
    the folder are not in it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        if not self.root.is_dir():
            raise InputError(f"{root}: no such folder of originals; check ORIGIN_DAM")
        self._etags: dict[str, tuple[tuple[int, int, int], str]] = {}
        self._lock = threading.Lock()

    def check(self) -> None:
        if not self.root.is_dir():
            raise OriginUnavailable(f"{self.root}: the folder of originals is gone")

    def list(self) -> Iterator[str]:
        for path in sorted(self.root.rglob("*")):
            name = path.relative_to(self.root).as_posix()
            if path.is_file() and not any(part.startswith(".") for part in name.split("/")):
                yield name

    def etags(self) -> Iterator[tuple[str, str]]:
        self.check()
        for name in self.list():
            with suppress(AssetNotFound):  # Gone since it was listed.
                yield name, self.stat(name).etag

    def name_of_key(self, key: str) -> str | None:
        return key

    def stat(self, name: str) -> AssetInfo:
        path = self._locate(name)
        try:
            found = path.stat()
        except OSError as error:
            raise AssetNotFound(f"no asset {name[:200]!r} here") from error
        with self._lock:
            known = self._etags.get(name)
        if known is None or known[0] != _identity(found):
            return self.open(name)[0]
        return _info(name, found, known[1])

    def open(self, name: str) -> tuple[AssetInfo, bytes]:
        path = self._locate(name)
        try:
            with path.open("rb") as file:
                found = os.fstat(file.fileno())
                data = file.read()
        except FileNotFoundError as error:
            raise AssetNotFound(f"no asset {name[:200]!r} here") from error
        except OSError as error:
            raise OriginUnavailable(f"{path}: cannot read: {error.strerror}") from error
        etag = f'"{content_digest(data)[:16].hex()}"'
        with self._lock:
            self._etags[name] = (_identity(found), etag)
        return _info(name, found, etag), data

    def put(self, name: str, data: bytes) -> None:
        if any(part.startswith(".") for part in checked_name(name).split("/")):
            raise AssetNotFound(f"no asset {name[:200]!r} may be here")
        write_file(self.root / name, data)

    def _locate(self, name: str) -> Path:
        path = self.root / checked_name(name)
        try:
            inside = path.resolve().is_relative_to(self.root) and stat.S_ISREG(path.stat().st_mode)
        except OSError:
            inside = False
        if not inside or any(part.startswith(".") for part in name.split("/")):
            raise AssetNotFound(f"no asset {name[:200]!r} here")
        return path


def _identity(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_mtime_ns, found.st_size, found.st_ino


def _info(name: str, found: os.stat_result, etag: str) -> AssetInfo:
    # HTTP dates have whole seconds.
    modified = datetime.fromtimestamp(int(found.st_mtime), UTC)
    return AssetInfo(name, etag, modified, found.st_size, media_type_of(name))
