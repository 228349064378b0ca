"""Access logs of common makers, each as a query that takes lines apart.

Every query reads the column ``line`` of ``lines`` and gives, as text, ``line`` itself, ``day`` (as
20/Nov/2026 or 2026-11-20), ``method``, ``target``, ``status``, ``size`` (body bytes), ``state``
(what the cache was) and ``region``; NULL where a line does not say.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kvsync.errors import InputError


@dataclass(frozen=True)
class LogFormat:
    """``query`` takes the lines apart; ``knows`` finds out whether a line is one of these."""

    name: str
    query: str
    knows: re.Pattern[str]


# The request is the first quoted field and what the client sent of itself the last ones, so that no
# quote in those can shift what is before them. What follows them is the cache's word.
COMBINED = LogFormat(
    "combined",
    """
    SELECT line, split_part(split_part(parts[1], '[', 2), ':', 1) AS day,
           request[1] AS method, request[2] AS target, said[2] AS status, said[3] AS size,
           CASE WHEN len(parts) > 3 THEN nullif(trim(parts[-1]), '') ELSE said[4] END AS state,
           NULL AS region
    FROM (SELECT line, parts, string_split(parts[2], ' ') AS request,
                 string_split(parts[3], ' ') AS said
          FROM (SELECT line, string_split(line, '"') AS parts FROM lines))
    """,
    re.compile(r'\S+ \S+ \S.* \[\d\d/\w{3}/\d{4}:[^\]]*\] "[A-Z]+ \S+'),
)

_KEYS = {
    "day": ("timestamp", "time", "@timestamp", "start_time", "date", "ts"),
    "method": ("method", "request_method", "req_method"),
    "target": ("target", "url", "path", "request_uri", "uri", "req_url"),
    "status": ("status", "response_status", "resp_status", "status_code"),
    "size": ("body_bytes", "response_body_size", "resp_body_bytes", "bytes", "body_bytes_sent"),
    "state": ("outcome", "cache_status", "fastly_info.state", "cache", "upstream_cache_status"),
    "region": ("region", "pop", "datacenter", "server_datacenter", "node"),
}
_PATHS = {name: [f'$."{key}"' for key in keys] for name, keys in _KEYS.items()}
_ALL_PATHS = [path for paths in _PATHS.values() for path in paths]


def _first_of(name: str) -> str:
    found = ", ".join(f"found[{_ALL_PATHS.index(path) + 1}]" for path in _PATHS[name])
    return f"coalesce({found}) AS {name}"


# A day is the date of an ISO 8601 time, or that of a number of seconds.
JSON_LINES = LogFormat(
    "json",
    f"""
    SELECT CASE WHEN try_cast(day AS DOUBLE) IS NULL THEN day[:10]
                ELSE strftime(to_timestamp(try_cast(day AS DOUBLE)), '%Y-%m-%d') END AS day,
           * EXCLUDE (day)
    FROM (SELECT line, {", ".join(map(_first_of, _KEYS))}
          FROM (SELECT line, CASE WHEN json_valid(line) THEN json_extract_string(line, {_ALL_PATHS})
                       END AS found FROM lines))
    """,
    re.compile(r"\s*\{"),
)

_CLOUDFRONT_FIELDS = {
    "day": "date",
    "method": "cs-method",
    "target": "cs-uri-stem",
    "status": "sc-status",
    "size": "sc-bytes",
    "state": "x-edge-result-type",
    "region": "x-edge-location",
}
_FIELDS = re.compile(r"#Fields: (.*)")


def _cloudfront(head: Sequence[str]) -> LogFormat:
    """Its fields are named in a line of the head; comments are no lines."""
    named = next(match[1].split() for line in head if (match := _FIELDS.match(line)))
    missing = set(_CLOUDFRONT_FIELDS.values()) - set(named)
    if missing:
        raise InputError(f"a CloudFront log without the fields {', '.join(sorted(missing))}")
    parts = ", ".join(
        f"parts[{named.index(field) + 1}] AS {name}" for name, field in _CLOUDFRONT_FIELDS.items()
    )
    return LogFormat(
        "cloudfront",
        f"SELECT line, {parts} FROM (SELECT line, string_split(line, chr(9)) AS parts FROM lines "
        "WHERE NOT starts_with(line, '#'))",
        _FIELDS,
    )


def format_of(head: Sequence[str]) -> LogFormat:
    """The format of a log that begins with these lines; :class:`InputError` if it is none of them.

    The first lines may be broken: the format that most of them have is the log's.
    """
    if any(_FIELDS.match(line) for line in head):
        return _cloudfront(head)
    known = {one: sum(one.knows.match(line) is not None for line in head) for one in _SIMPLE}
    best = max(known, key=lambda one: known[one])
    if not known[best]:
        raise InputError(
            "none of the first lines is of a log that is known: Common or Combined Log Format, "
            "JSON lines, CloudFront's or Fastly's"
        )
    return best


_SIMPLE = (COMBINED, JSON_LINES)
