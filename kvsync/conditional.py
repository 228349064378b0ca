"""Conditional requests (RFC 9110 section 13) and the dates that they compare, as pure functions."""

import hashlib
import math
import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache

_ENTITY_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


@dataclass(frozen=True, slots=True)
class Conditions:
    if_none_match: str | None = None
    if_modified_since: str | None = None


def entity_tag(body: bytes) -> str:
    """A strong validator of exactly these bytes: half of their SHA-256, which processors have
    instructions for."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def not_modified(asked: Conditions, etag: str | None, last_modified: str | None) -> bool:
    """Whether 304 answers a GET or HEAD. ``If-None-Match`` goes first (section 13.2.2)."""
    if asked.if_none_match is not None:
        return _matches(asked.if_none_match, etag)
    since, changed = unix_seconds(asked.if_modified_since), unix_seconds(last_modified)
    return since is not None and changed is not None and changed <= since


def http_date(unix_s: float) -> str:
    """IMF-fixdate (section 5.6.7)."""
    return _date_of(math.floor(unix_s))


def unix_seconds(date: str | None) -> float | None:
    """An HTTP date as Unix seconds, None where it is not one; without a zone it is in GMT."""
    if date is None:
        return None
    try:
        parsed = parsedate_to_datetime(date)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=1024)
def _date_of(whole_s: int) -> str:
    return formatdate(whole_s, usegmt=True)


def _matches(if_none_match: str, etag: str | None) -> bool:
    """Weak comparison with each tag of a list, or ``*`` (section 13.1.2)."""
    if if_none_match.strip() == "*":
        return True
    if etag is None:
        return False
    return etag.removeprefix("W/") in _ENTITY_TAG.findall(if_none_match)
