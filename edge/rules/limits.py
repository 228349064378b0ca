"""Cache-Control values bounded in time: nothing downstream keeps an image past its approval."""

import re

_AGES = re.compile(r"\b(max-age|s-maxage)=([0-9]+)", re.IGNORECASE)
_GRACES = re.compile(r"\b(stale-while-revalidate|stale-if-error)=([0-9]+)", re.IGNORECASE)


def limit_ages(value: str, limit_s: float) -> str:
    """A Cache-Control value that lets nobody keep an answer, stale or not, past ``limit_s``."""
    limit = max(0, int(limit_s))
    value = _at_most(_AGES, limit, value)
    lifetime = max((int(match[2]) for match in _AGES.finditer(value)), default=0)
    return _at_most(_GRACES, limit - lifetime, value)


def _at_most(directive: re.Pattern[str], limit: int, value: str) -> str:
    return directive.sub(lambda match: f"{match[1]}={min(int(match[2]), limit)}", value)
