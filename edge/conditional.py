"""Conditional requests (RFC 9110 section 13) against an answer that is already at hand."""

import hashlib
import re
from dataclasses import dataclass

from edge.freshness import http_date

_ENTITY_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


@dataclass(frozen=True, slots=True)
class Conditions:
    if_none_match: str | None = None
    if_modified_since: str | None = None


UNCONDITIONAL = Conditions()


def entity_tag(body: bytes) -> str:
    """A strong validator of exactly these bytes: BLAKE2b-128 in hex."""
    return f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


def not_modified(asked: Conditions, etag: str | None, last_modified: str | None) -> bool:
    """Whether 304 answers the request. ``If-None-Match`` goes first (section 13.2.2)."""
    if asked.if_none_match is not None:
        return matches(asked.if_none_match, etag)
    since, changed = http_date(asked.if_modified_since), http_date(last_modified)
    return since is not None and changed is not None and changed <= since


def matches(if_none_match: str, etag: str | None) -> bool:
    """Weak comparison with each tag of a list, or ``*`` (section 13.1.2)."""
    if if_none_match.strip() == "*":
        return True
    if etag is None:
        return False
    return etag.removeprefix("W/") in _ENTITY_TAG.findall(if_none_match)
