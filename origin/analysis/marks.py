"""Parts that only some names have, at either end: ``flag_af`` beside ``flag_af_s``, ``@2x``,
``-300x200``, ``thumb_``."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from origin.analysis.names import CODE, Words

# What a name has that lacks an optional part, as prompts and tables of attributes say it.
PLAIN: Final = "plain"
# Names may bear two marks at an end (`-dark@2x`); more are no marks but what the thing is called.
_MOST: Final = 2
_FEWEST: Final = 2
# A stray name may have one of two words that else are never met alone.
_ALWAYS: Final = 0.9
_NUMBERED: Final = re.compile(r"\d+(x\d+)?")


@dataclass(frozen=True, slots=True)
class Marked:
    """Words without what marks some of them; ``first`` and ``last`` say the marks, "" where a name
    has none."""

    words: Words
    first: str
    last: str


def unmarked(every: Sequence[Words]) -> list[Marked]:
    """Names with their marks told apart from them.

    A word is a mark if half of the names that have it, wherever, are there without it too, and
    what it stands beside differs: ``hand`` beside ``waving-hand`` is another thing, no mark.
    """
    known = {_folded(one.said) for one in every}
    first, last = _marks(known, 0), _marks(known, -1)
    return [_unmarked(one, first, last) for one in every]


def glued(every: Sequence[Words]) -> list[Words]:
    """Names with words that are only ever met side by side (``three-quarter``) as one."""
    met = Counter(word for one in every for word in _folded(one.said))
    beside = Counter(pair for one in every for pair in pairwise(_folded(one.said)))
    always = {
        (one, other)
        for (one, other), count in beside.items()
        if count >= _FEWEST
        and count >= _ALWAYS * max(met[one], met[other])
        and not (CODE.fullmatch(one) or CODE.fullmatch(other))
    }
    return [_glued(one, always) for one in every]


def _glued(one: Words, always: set[tuple[str, str]]) -> Words:
    pairs = pairwise(_folded(one.said))
    begins = [0, *(at + 1 for at, pair in enumerate(pairs) if pair not in always)]
    ends = [*begins[1:], len(one.said)]
    said = tuple(one.text(begin, end) for begin, end in zip(begins, ends, strict=True))
    return Words(said, (*(one.gaps[at] for at in begins), one.gaps[-1]))


def _folded(said: Sequence[str]) -> tuple[str, ...]:
    return tuple(word.casefold() for word in said)


def _marks(known: set[tuple[str, ...]], end: int) -> set[str]:
    met: Counter[str] = Counter()
    bare: Counter[str] = Counter()
    beside: dict[str, set[str]] = defaultdict(set)
    for said in known:
        met.update({_kind(word) for word in said})
        if len(said) > 1:
            mark = _kind(said[end])
            rest = said[1:] if end == 0 else said[:-1]
            if rest in known:
                bare[mark] += 1
                beside[mark].add(rest[end])
    return {
        mark
        for mark, count in bare.items()
        if count >= _FEWEST and 2 * count >= met[mark] and len(beside[mark]) > 1
    }


def _kind(word: str) -> str:
    """Numbers are one kind of mark, whichever they are, and so are sizes."""
    return re.sub(r"\d+", "0", word) if _NUMBERED.fullmatch(word) else word


def _unmarked(one: Words, first: set[str], last: set[str]) -> Marked:
    begin, end = 0, len(one.said)
    folded = _folded(one.said)
    while end > 1 and len(one.said) - end < _MOST and _kind(folded[end - 1]) in last:
        end -= 1
    while begin < end - 1 and begin < _MOST and _kind(folded[begin]) in first:
        begin += 1
    return Marked(
        one.part(begin, end),
        one.text(0, begin) if begin else "",
        one.text(end, len(one.said)) if end < len(one.said) else "",
    )
