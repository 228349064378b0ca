"""What an unsafe method makes untrue (RFC 9111 section 4.4)."""

from urllib.parse import urljoin, urlsplit

from edge.rules.fields import joined
from edge.rules.stored import Fields

# RFC 9110 section 9.2.1. Any other, also one that nobody knows, may have changed something.
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY"})


def invalidated(method: str, status: int, url: str, fields: Fields) -> tuple[str, ...]:
    """The targets (path and query) that are no longer true after an answer to ``method``.

    ``url`` is the request's own, with scheme and host; of Location and Content-Location only what
    has the same origin counts.
    """
    if method in SAFE or not 200 <= status < 400:
        return ()
    own = urlsplit(url)
    targets = [_target(url)]
    for name in ("location", "content-location"):
        said = joined(fields, name)
        there = _resolved(url, said) if said is not None else None
        if there is not None and urlsplit(there)[:2] == own[:2]:
            targets.append(_target(there))
    return tuple(dict.fromkeys(targets))


def _resolved(base: str, reference: str) -> str | None:
    try:
        return urljoin(base, reference.strip())
    except ValueError:
        return None


def _target(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
