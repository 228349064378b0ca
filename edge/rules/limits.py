"""Cache-Control values bounded in time: nothing downstream keeps an image past its approval."""

import re
from functools import lru_cache

_AGES = re.compile(r"\b(max-age|s-maxage)=([0-9]+)", re.IGNORECASE)
_GRACES = re.compile(r"\b(stale-while-revalidate|stale-if-error)=([0-9]+)", re.IGNORECASE)


def limit_ages(value: str, limit_s: float) -> str:
    """A Cache-Control value that lets nobody keep an answer, stale or not, past ``limit_s``."""
    limit = max(0, int(limit_s))
    lifetime, grace = _longest(value)
    if lifetime + grace <= limit:
        return value
    value = _at_most(_AGES, limit, value)
    return _at_most(_GRACES, limit - min(lifetime, limit), value)


@lru_cache(maxsize=1024)
def _longest(value: str) -> tuple[int, int]:
    """The longest lifetime and the longest grace that a value gives, in seconds."""
    lifetimes, graces = (
        max((int(match[2]) for match in directive.finditer(value)), default=0)
        for directive in (_AGES, _GRACES)
    )
    return lifetimes, graces


def _at_most(directive: re.Pattern[str], limit: int, value: str) -> str:
    return directive.sub(lambda match: f"{match[1]}={min(int(match[2]), limit)}", value)
