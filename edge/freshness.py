"""Caching rules as pure functions: RFC 9111 (caching), 9213 (targeted), 5861 (stale-if-error)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kvsync.conditional import unix_seconds

_DIRECTIVE = re.compile(r"""\s*([^\s,=;"]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,;"]*)))?[^,]*(?:,|$)""")
_AGES = re.compile(r"\b(max-age|s-maxage)=([0-9]+)", re.IGNORECASE)
_GRACES = re.compile(r"\b(stale-while-revalidate|stale-if-error)=([0-9]+)", re.IGNORECASE)
_SECONDS = re.compile(r"[0-9]{1,10}")

# The edge always asks upstream for the identity coding, so Accept-Encoding cannot differ.
_VARY_KNOWN = frozenset({"accept", "accept-encoding"})


@dataclass(frozen=True, slots=True)
class Freshness:
    """How an origin's answer may be kept, in Unix seconds; both are in the past for "not"."""

    fresh_until: float
    usable_until: float


NOT_KEPT = Freshness(0.0, 0.0)


def directives(value: str) -> dict[str, str]:
    """Cache directives by name in lower case, without quotes; ``""`` where there is no value."""
    found: dict[str, str] = {}
    for match in _DIRECTIVE.finditer(value):
        found.setdefault(match[1].lower(), match[2] or match[3] or "")
    return found


def freshness(
    status: int,
    headers: Mapping[str, str],
    *,
    received_at: float,
    age_s: float,
    stale_if_error_s: float,
) -> Freshness:
    """Whether and how long a shared cache may keep an answer to a plain GET.

    ``CDN-Cache-Control`` replaces ``Cache-Control`` where it is sent (RFC 9213 section 2.2).
    Stricter than it must be: 200 only, an explicit lifetime only, ``Vary`` on ``Accept`` only.
    """
    targeted = headers.get("cdn-cache-control")
    rules = directives(headers.get("cache-control", "") if targeted is None else targeted)
    if status != 200 or "set-cookie" in headers or not vary_names(headers) <= _VARY_KNOWN:
        return NOT_KEPT
    if rules.keys() & {"no-store", "no-cache", "private"}:
        return NOT_KEPT
    lifetime = _lifetime(rules, headers if targeted is None else {})
    if lifetime <= age_s:
        return NOT_KEPT
    fresh_until = received_at + lifetime - age_s
    if rules.keys() & {"must-revalidate", "proxy-revalidate", "s-maxage"}:
        return Freshness(fresh_until, fresh_until)
    grace = seconds(rules.get("stale-if-error"))
    return Freshness(fresh_until, fresh_until + (stale_if_error_s if grace is None else grace))


def initial_age(headers: Mapping[str, str], *, asked_at: float, received_at: float) -> float:
    """The age of an answer on arrival, in seconds (RFC 9111 section 4.2.3)."""
    sent = unix_seconds(headers.get("date"))
    apparent = 0.0 if sent is None else max(0.0, received_at - sent)
    corrected = (seconds(headers.get("age")) or 0) + received_at - asked_at
    # Dates have whole seconds: less than one of difference says nothing.
    return max(apparent if apparent >= 1 else 0.0, corrected)


def vary_names(headers: Mapping[str, str]) -> frozenset[str]:
    names = (name.strip().lower() for name in headers.get("vary", "").split(","))
    return frozenset(name for name in names if name)


def limit_ages(value: str, limit_s: float) -> str:
    """A Cache-Control value that lets nobody keep an answer, stale or not, past ``limit_s``."""
    limit = max(0, int(limit_s))
    value = _at_most(_AGES, limit, value)
    lifetime = max((int(match[2]) for match in _AGES.finditer(value)), default=0)
    return _at_most(_GRACES, limit - lifetime, value)


def seconds(value: str | None) -> int | None:
    """A delta-seconds value (RFC 9111 section 1.2.2), None where it is not one."""
    return int(value) if value is not None and _SECONDS.fullmatch(value) else None


def _at_most(directive: re.Pattern[str], limit: int, value: str) -> str:
    return directive.sub(lambda match: f"{match[1]}={min(int(match[2]), limit)}", value)


def _lifetime(rules: Mapping[str, str], headers: Mapping[str, str]) -> float:
    for name in ("s-maxage", "max-age"):
        if name in rules:
            return seconds(rules[name]) or 0
    expires, sent = unix_seconds(headers.get("expires")), unix_seconds(headers.get("date"))
    return expires - sent if expires is not None and sent is not None else 0
