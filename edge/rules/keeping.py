"""Whether a shared cache may keep a response, and on what terms (RFC 9111 section 3)."""

from collections.abc import Mapping
from dataclasses import dataclass

from edge.rules.dates import read_date
from edge.rules.fields import directives, elements, joined, names, seconds
from edge.rules.stored import Fields
from edge.rules.structured import parse_dictionary

# RFC 9110 section 15.1.
_HEURISTIC = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
# Statuses whose caching requirements are all met here: what must-understand asks for.
_UNDERSTOOD = _HEURISTIC | {302, 303, 307, 400, 403, 500, 502, 503, 504}
# About a part or another response; a cache that does not combine them keeps neither.
_NEVER = frozenset({206, 304})
_NEGATIVE = frozenset({404, 405, 410, 414, 501})
_NO_STALE = frozenset({"must-revalidate", "proxy-revalidate", "s-maxage", "no-cache"})


@dataclass(frozen=True, slots=True)
class Custom:
    """What a property allows beyond what its origin says; in seconds, 0 for not at all.

    ``heuristic_share`` is of the time since Last-Modified (RFC 9111 section 4.2.2), for at most
    ``heuristic_limit_s``. ``negative_s`` is for answers that there is nothing, where they do not
    say how long. ``on_error_s`` is RFC 5861 section 4 for responses that do not say.
    """

    heuristic_share: float = 0.0
    heuristic_limit_s: float = 86_400.0
    negative_s: float = 0.0
    on_error_s: float = 0.0
    keeps_cookies: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """A response and what the rules ask about its request. Times are Unix seconds."""

    method: str
    authorized: bool
    asks_no_store: bool
    status: int
    fields: Fields
    asked_at: float
    received_at: float


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a response is kept; :class:`edge.rules.stored.Stored` explains the times.

    ``left_out`` are the fields that no other client may see (sections 5.2.2.4 and 5.2.2.7).
    """

    born_at: float
    fresh_until: float
    revalidating_until: float
    on_error_until: float
    left_out: frozenset[str] = frozenset()


def terms(told: Exchange, custom: Custom, jitter: float = 0.0) -> Terms | None:
    """The terms of a response to GET, None where it may not or need not be kept.

    ``jitter``, from 0 up to 1, spreads the end of what ``negative_s`` keeps over its second half.
    """
    rules, targeted = policy_of(told.fields)
    if not _may_store(told, rules, custom):
        return None
    born_at = told.received_at - initial_age(told.fields, told.asked_at, told.received_at)
    lifetime = lifetime_of(told, rules, targeted, custom, jitter)
    validator = told.status < 500 and _has_validator(told.fields)
    if lifetime is None and not validator:
        return None
    fresh_until = born_at + (lifetime or 0.0)
    if _always_validated(rules) or not one_age(told.fields):
        fresh_until = min(fresh_until, told.received_at)
    # An error stands in for nothing.
    stale = told.status < 500 and may_be_stale(rules)
    revalidating = (seconds(rules.get("stale-while-revalidate")) or 0) if stale else 0
    on_error = _on_error_s(rules, custom) if stale else 0.0
    if fresh_until <= told.received_at and not validator and not (revalidating or on_error):
        return None
    return Terms(
        born_at,
        fresh_until,
        fresh_until + revalidating if revalidating else 0.0,
        fresh_until + on_error if on_error else 0.0,
        _left_out(rules),
    )


def policy_of(fields: Fields) -> tuple[dict[str, str | None], bool]:
    """The directives that count, and whether they are of ``CDN-Cache-Control``.

    A valid targeted field replaces Cache-Control and Expires; one that is no dictionary or is
    empty counts as absent (RFC 9213 section 2.2).
    """
    value = joined(fields, "cdn-cache-control")
    members = parse_dictionary(value) if value is not None else None
    if members:
        return {
            name: None if said == "?1" else said for name, said in members.items() if said != "?0"
        }, True
    return directives(joined(fields, "cache-control")), False


def initial_age(fields: Fields, asked_at: float, received_at: float) -> float:
    """The age of a response on arrival, in seconds (RFC 9111 section 4.2.3)."""
    sent = read_date(joined(fields, "date"), received_at)
    apparent = 0.0 if sent is None else max(0.0, received_at - sent)
    said = elements(joined(fields, "age"))
    corrected = ((seconds(said[0]) if said else 0) or 0) + max(0.0, received_at - asked_at)
    # Dates have whole seconds: less than one of difference says nothing.
    return max(apparent if apparent >= 1 else 0.0, corrected)


def one_age(fields: Fields) -> bool:
    """Whether Age is absent or one whole number; anything else says that the response may be of
    any age (section 5.1 lets it be ignored, which would err on the other side)."""
    value = joined(fields, "age")
    return value is None or seconds(value.strip()) is not None


def lifetime_of(
    told: Exchange,
    rules: Mapping[str, str | None],
    targeted: bool,
    custom: Custom,
    jitter: float = 0.0,
) -> float | None:
    """The freshness lifetime in seconds (RFC 9111 section 4.2.1), None where nothing says one.

    What says one that cannot be read says zero.
    """
    for name in ("s-maxage", "max-age"):
        if name in rules:
            return float(seconds(rules[name]) or 0)
    expires = None if targeted else joined(told.fields, "expires")
    if expires is not None:
        until = read_date(expires, told.received_at)
        return max(0.0, until - _sent_at(told)) if until is not None else 0.0
    return _unsaid_lifetime(told, rules, custom, jitter)


def _unsaid_lifetime(
    told: Exchange, rules: Mapping[str, str | None], custom: Custom, jitter: float
) -> float | None:
    """Negative caching, and the heuristics of RFC 9111 section 4.2.2."""
    if custom.negative_s and told.status in _NEGATIVE:
        return custom.negative_s * (0.5 + jitter / 2)
    changed = read_date(joined(told.fields, "last-modified"), told.received_at)
    may_guess = told.status in _HEURISTIC or "public" in rules
    if not custom.heuristic_share or changed is None or not may_guess:
        return None
    guess = max(0.0, _sent_at(told) - changed) * custom.heuristic_share
    return min(guess, custom.heuristic_limit_s)


def may_be_stale(rules: Mapping[str, str | None]) -> bool:
    """Whether nothing forbids to serve it stale (RFC 9111 section 4.2.4)."""
    return rules.keys().isdisjoint(_NO_STALE)


def _sent_at(told: Exchange) -> float:
    sent = read_date(joined(told.fields, "date"), told.received_at)
    return told.received_at if sent is None else sent


def _may_store(told: Exchange, rules: Mapping[str, str | None], custom: Custom) -> bool:
    """RFC 9111 section 3, for what is worth keeping at all."""
    if told.method != "GET" or told.asks_no_store or told.status < 200 or told.status in _NEVER:
        return False
    understood = "must-understand" in rules
    if understood and told.status not in _UNDERSTOOD:
        return False
    # Section 5.2.2.3: who understands must-understand may pass over the no-store beside it.
    if "no-store" in rules and not understood:
        return False
    if "private" in rules and not rules["private"]:
        return False
    if told.authorized and not rules.keys() & {"must-revalidate", "public", "s-maxage"}:
        return False
    vary = names(joined(told.fields, "vary"))
    return "*" not in vary and (custom.keeps_cookies or joined(told.fields, "set-cookie") is None)


def _always_validated(rules: Mapping[str, str | None]) -> bool:
    """Unqualified no-cache (section 5.2.2.4)."""
    return "no-cache" in rules and not rules["no-cache"]


def _on_error_s(rules: Mapping[str, str | None], custom: Custom) -> float:
    said = seconds(rules.get("stale-if-error"))
    return custom.on_error_s if said is None else float(said)


def _left_out(rules: Mapping[str, str | None]) -> frozenset[str]:
    listed = (rules.get(name) or "" for name in ("no-cache", "private"))
    return frozenset(name for value in listed for name in names(value.strip('"')))


def _has_validator(fields: Fields) -> bool:
    return any(name in ("etag", "last-modified") for name, _ in fields)
