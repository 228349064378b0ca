"""Conditional requests (RFC 9110 section 13), as pure functions."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (lower case) and body of an answer, before any framework sees it."""

    status: int
    headers: dict[str, str]
    body: bytes


def http_date(when: datetime) -> str:
    """IMF-fixdate (RFC 9110 section 5.6.7)."""
    return format_datetime(when.astimezone(UTC), usegmt=True)


def is_unmodified(
    etag: str,
    last_modified: datetime | None,
    if_none_match: str | None,
    if_modified_since: str | None,
) -> bool:
    """Whether a GET or HEAD is answered 304 (RFC 9110 section 13.2.2).

    ``If-None-Match`` is compared weakly and, when present, makes ``If-Modified-Since`` ignored.
    """
    if if_none_match is not None:
        candidates = [part.strip() for part in if_none_match.split(",")]
        return "*" in candidates or _opaque(etag) in map(_opaque, candidates)
    if if_modified_since is None or last_modified is None:
        return False
    try:
        since = parsedate_to_datetime(if_modified_since)
    except ValueError:
        return False
    if since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    return last_modified <= since


def _opaque(etag: str) -> str:
    return etag.removeprefix("W/")
