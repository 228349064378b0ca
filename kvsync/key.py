"""The asset key: a versioned hash of a normalised request.

Canonical form, version 1, four lines: key version, property id, path, significant parameters.

* Path (RFC 3986 section 6.2.2): percent-encoded unreserved characters are decoded, all other
  escapes are kept with upper-case digits (so ``%2F`` stays apart from ``/``), bytes outside the
  allowed set are escaped. Dot segments are refused rather than resolved: plain, escaped, or
  such as show only to a server that takes ``%2F``, ``%5C`` or ``;`` for the end of a segment.
* Query: split at ``&`` only (``;`` is data), ``+`` is a space, ``v`` equals ``v=``, names sorted.
  A significant or rendition parameter given twice is refused: caches that disagree on which of
  the two counts can be poisoned.

Golden values in tests/kvsync/test_asset_key.py pin every one of these rules.
"""

import hashlib
import re
from dataclasses import dataclass

from kvsync.errors import BadRequest, PathTooLong
from kvsync.property import Property

MAX_TARGET_BYTES = 8_192
_PERSON = b"rehydrate-key"

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PATH_CHARS = _UNRESERVED | frozenset(b"/!$&'()*+,;=:@")
_QUERY_CHARS = _PATH_CHARS | frozenset(b"?")
_SEGMENT_END = re.compile(r"/|%2F|%5C|;")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})?")


@dataclass(frozen=True, slots=True)
class AssetRequest:
    """A request for an asset, normalised: ``rendition`` holds what the query asks of the form."""

    path: str
    canonical: str
    key: bytes
    rendition: tuple[tuple[str, str], ...]


def asset_key(canonical: str) -> bytes:
    """BLAKE2b-128 of a canonical form."""
    return hashlib.blake2b(canonical.encode("ascii"), digest_size=16, person=_PERSON).digest()


def read_request(site: Property, raw_path: bytes, raw_query: bytes = b"") -> AssetRequest:
    """Normalise a request target as sent (origin-form, still percent-encoded).

    Raises :class:`PathTooLong` beyond 8 KiB and :class:`BadRequest` for anything that two
    parties could read in two ways.
    """
    if len(raw_path) + len(raw_query) > MAX_TARGET_BYTES:
        raise PathTooLong(f"the request target is longer than {MAX_TARGET_BYTES} bytes")
    path = canonical_path(raw_path)
    significant, rendition = _classify(site, raw_query)
    query = "&".join(f"{name}={value}" for name, value in sorted(significant.items()))
    canonical = f"{site.key_version}\n{site.id}\n{path}\n{query}"
    return AssetRequest(path, canonical, asset_key(canonical), tuple(sorted(rendition.items())))


def read_whole(site: Property, raw_path: bytes, raw_query: bytes = b"") -> AssetRequest:
    """As :func:`read_request` for a property that passes everything through: the query counts as
    it is, in its order."""
    if len(raw_path) + len(raw_query) > MAX_TARGET_BYTES:
        raise PathTooLong(f"the request target is longer than {MAX_TARGET_BYTES} bytes")
    path, query = canonical_path(raw_path), _normalise(raw_query, _QUERY_CHARS)
    canonical = f"{site.key_version}\n{site.id}\n{path}\n{query}"
    return AssetRequest(path, canonical, asset_key(canonical), ())


def canonical_path(raw: bytes) -> str:
    """The path in canonical form, ASCII; :class:`BadRequest` for dot segments and bad escapes."""
    if not raw.startswith(b"/"):
        raise BadRequest("the request target must start with '/'")
    path = _normalise(raw, _PATH_CHARS)
    if any(segment in (".", "..") for segment in _SEGMENT_END.split(path)):
        raise BadRequest("dot segments in a path are refused; ask for the path itself")
    return path


def _classify(site: Property, raw: bytes) -> tuple[dict[str, str], dict[str, str]]:
    significant: dict[str, str] = {}
    rendition: dict[str, str] = {}
    for part in raw.split(b"&"):
        if not part:
            continue
        raw_name, _, raw_value = part.replace(b"+", b"%20").partition(b"=")
        name = _normalise(raw_name, _UNRESERVED)
        if name in site.query.refused:
            raise BadRequest(f"the parameter {name!r} is refused here")
        if name in site.query.significant:
            target, field = significant, name
        elif name in site.query.rendition:
            target, field = rendition, site.query.rendition[name]
        else:
            continue
        if field in target:
            raise BadRequest(f"the parameter {name!r} is given twice")
        target[field] = _normalise(raw_value, _UNRESERVED)
    return significant, rendition


def _normalise(raw: bytes, literal: frozenset[int]) -> str:
    """Decode escaped unreserved bytes, escape what is not ``literal``, upper-case the rest."""
    out: list[str] = []
    position = 0
    while position < len(raw):
        byte = raw[position]
        position += 1
        if byte == 0x25:
            match = _ESCAPE.match(raw, position - 1)
            if match is None or match.group(1) is None:
                raise BadRequest("'%' must be followed by two hexadecimal digits")
            byte = int(match.group(1), 16)
            position += 2
            out.append(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}")
        else:
            out.append(chr(byte) if byte in literal else f"%{byte:02X}")
        if byte < 0x20 or byte == 0x7F:
            raise BadRequest("control characters in a request target are refused")
    return "".join(out)
