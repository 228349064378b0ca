"""Which region may read which properties: a file of regions, each by the digest of its token.

JSON: ``{"asia-east": {"token_sha256": "…", "properties": ["rumba"]}}``. The token itself is shown
once, when a region is admitted, and kept by the region alone.
"""

import hashlib
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

import msgspec

from kvsync.encoding import UNREADABLE
from kvsync.errors import Forbidden, InputError
from kvsync.files import write_file

_NAME = re.compile(r"[A-Za-z0-9._-]{1,40}")


class Admitted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One region: SHA-256 of its token, and the properties that it serves."""

    token_sha256: str
    properties: tuple[str, ...]


def admit(path: Path, region: str, properties: Iterable[str]) -> str:
    """Give a region a new token, which is returned; an old one is worth nothing from now on."""
    if not _NAME.fullmatch(region):
        raise InputError(f"{region!r}: a region's name has 1 to 40 letters, digits, dots and -_")
    token = secrets.token_urlsafe(32)
    regions = dict(_read(path)) if path.exists() else {}
    regions[region] = Admitted(_digest(token), tuple(sorted(set(properties))))
    _write(path, regions)
    return token


def dismiss(path: Path, region: str) -> None:
    """End a region's token and wait for it no longer; :class:`InputError` where it has none."""
    regions = dict(_read(path)) if path.exists() else {}
    if region not in regions:
        known = ", ".join(sorted(regions)) or "none"
        raise InputError(f"{region!r}: no such region was admitted; there is {known}")
    del regions[region]
    _write(path, regions)


class RegionTokens:
    """The file of admitted regions, read again when it changes; without it, none is admitted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._regions: dict[str, Admitted] = {}
        self._by_digest: dict[str, str] = {}

    def regions(self) -> dict[str, Admitted]:
        """Every region by name; :class:`InputError` when the file cannot be used."""
        try:
            found = os.stat(self._path)
        except OSError:
            self._seen, self._regions, self._by_digest = None, {}, {}
            return self._regions
        seen = (found.st_mtime_ns, found.st_size, found.st_ino)
        if seen != self._seen:
            self._regions = _read(self._path)
            self._by_digest = {one.token_sha256: name for name, one in self._regions.items()}
            self._seen = seen
        return self._regions

    def region_of(self, authorization: str | None, property: str | None = None) -> str:
        """The region whose token an ``Authorization`` header bears, if it serves ``property``.

        Raises :class:`Forbidden`.
        """
        regions = self.regions()
        scheme, _, token = (authorization or "").partition(" ")
        # Found by its digest: how long that takes tells nothing about a token.
        name = self._by_digest.get(_digest(token.strip())) if scheme.lower() == "bearer" else None
        if name is None:
            raise Forbidden("this needs a region's token: Authorization: Bearer TOKEN")
        if property is not None and property not in regions[name].properties:
            raise Forbidden(f"region {name} does not serve property {property[:40]!r}")
        return name


def _write(path: Path, regions: dict[str, Admitted]) -> None:
    raw = msgspec.json.format(msgspec.json.encode(regions))
    write_file(path, raw, mode=0o600)


def _read(path: Path) -> dict[str, Admitted]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Admitted])
    except OSError as error:
        raise InputError(f"{path}: cannot read the regions' tokens: {error.strerror}") from error
    except UNREADABLE as error:
        raise InputError(f"{path}: not a file of regions' tokens: {error}") from error


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
