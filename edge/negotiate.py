"""Which rendition a request gets: from its parameters, or else from ``Accept``.

Whatever is asked for is clamped into the property's closed set, so that the number of variants
that a client can make the system produce and keep is bounded.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from kvsync.errors import BadRequest
from kvsync.rendition import FormatRule, RenditionRules, Still

_QVALUE = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Choice:
    """A rendition, and whether ``Accept`` had a say in it (then the answer varies on it)."""

    rendition: Still
    negotiated: bool


def choose(rules: RenditionRules, asked: Mapping[str, str], accept: str) -> Choice:
    """The rendition for ``asked`` (format, width, quality as text) and an ``Accept`` value.

    Raises :class:`BadRequest` for a format that the property does not deliver and for numbers
    that are none.
    """
    named = asked.get("format")
    rule = negotiated_format(rules, accept) if named is None else named_format(rules, named)
    width = clamp_width(rules, _number(asked, "width", max(rules.widths)))
    quality = rule.quality
    if "quality" in asked:
        quality = nearest_quality(rules, _number(asked, "quality", quality))
    return Choice(Still(rule.format, width, quality), negotiated=named is None)


def named_format(rules: RenditionRules, name: str) -> FormatRule:
    for rule in rules.formats:
        if rule.format == name:
            return rule
    known = ", ".join(rule.format for rule in rules.formats)
    raise BadRequest(f"the format {name[:20]!r} is not delivered here; use one of {known}")


def negotiated_format(rules: RenditionRules, accept: str) -> FormatRule:
    """The offered format of the highest weight, the property's order breaking ties.

    A format counts only when it is named: clients that send ``image/*`` or ``*/*`` are not
    thereby able to show AVIF. The last one offered suits everyone, is what wildcards speak of,
    and is the answer when nothing fits (RFC 9110 section 12.4.1).
    """
    offered = rules.offered()
    last = offered[-1]
    weights = parse_accept(accept)
    best, best_weight = last, 0.0
    for rule in offered:
        weight = weights.get(f"image/{rule.format}", 0.0)
        if rule is last and f"image/{rule.format}" not in weights:
            weight = weights.get("image/*", weights.get("*/*", 0.0))
        if weight > best_weight:
            best, best_weight = rule, weight
    return best


@lru_cache(maxsize=512)
def parse_accept(accept: str) -> Mapping[str, float]:
    """Media ranges and weights (RFC 9110 section 12.5.1); a malformed weight drops its range."""
    weights: dict[str, float] = {}
    for element in accept.lower().split(","):
        media_range, *parameters = (part.strip() for part in element.split(";"))
        weight = "1"
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                weight = value.strip()
        if media_range and _QVALUE.fullmatch(weight):
            weights[media_range] = float(weight)
    return weights


def clamp_width(rules: RenditionRules, asked: int) -> int:
    """The smallest configured width that is not below ``asked``, else the largest."""
    return min((width for width in rules.widths if width >= asked), default=max(rules.widths))


def nearest_quality(rules: RenditionRules, asked: int) -> int:
    """The configured quality nearest to ``asked``, the better one of two."""
    return min(rules.qualities, key=lambda quality: (abs(quality - asked), -quality))


def _number(asked: Mapping[str, str], name: str, default: int) -> int:
    text = asked.get(name)
    if text is None:
        return default
    if not _NUMBER.fullmatch(text):
        raise BadRequest(f"{name} must be a whole number of at most 9 digits, not {text[:20]!r}")
    return int(text)
