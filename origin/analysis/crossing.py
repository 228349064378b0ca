"""Columns that cross: what tells a rule of naming from words that names happen to share."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from origin.analysis.names import CODE

Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]
Kind = Literal["words", "codes", "counts", "dates"]
"""What a column mostly has: counts are numbers that only count, dates when something was put
there, codes all other numbers, and hashes."""

# A rule makes things again in other colours: this share of all combinations is there.
FILLED: Final = 0.25
# Every album counts its pictures from one; numbers are a part only where all count as far.
WHOLE: Final = 0.9
# Names that drop out make others lone; a long chain of them need not be followed to its end.
_PASSES: Final = 64
_YEAR: Final = re.compile(r"(19|20)\d\d([-_.]?[01]\d([-_.]?[0-3]\d)?)?")
_MONTH: Final = re.compile(r"[0-3]\d")


@dataclass(frozen=True)
class Crossing:
    """``rows`` (names,) follow the rule; ``columns`` are its parts, each independent of the others.

    ``filled`` is the share that there is of all combinations, ``values`` how many there are in all.
    ``lone`` if names also have words that never come again: each tells of another thing.
    """

    rows: Mask
    columns: tuple[int, ...]
    filled: float
    values: int
    lone: bool

    @property
    def made(self) -> bool:
        return len(self.columns) > 1 and self.filled >= FILLED and not self.lone

    @property
    def gain(self) -> int:
        """How many names are said by fewer words than they are."""
        return int(self.rows.sum()) - self.values


def coded(columns: Sequence[Sequence[str]]) -> Codes:
    """(names, columns) numbers for values, from 0 on by first appearance; case says nothing."""
    found = np.empty((len(columns[0]) if columns else 0, len(columns)), np.int64)
    for at, column in enumerate(columns):
        known: dict[str, int] = {}
        found[:, at] = [known.setdefault(value.casefold(), len(known)) for value in column]
    return found


def kind_of(column: Sequence[str], folders: bool) -> Kind:
    """What a column has; days and months are told from other numbers by the ``folders`` that they
    stand in, and by a nought in front."""
    known = set(column)
    if all(_YEAR.fullmatch(value) for value in known):
        return "dates"
    if folders and all(map(_MONTH.fullmatch, known)) and any(one[0] == "0" for one in known):
        return "dates"
    if 2 * sum(CODE.fullmatch(value) is not None for value in known) <= len(known):
        return "words"
    if not all(value.isdecimal() for value in known):
        return "codes"
    numbers = {int(value) for value in known}
    running = min(numbers) <= 1 and len(numbers) >= WHOLE * (max(numbers) - min(numbers) + 1)
    return "counts" if running else "codes"


def crossing(codes: Codes, rows: Mask, kinds: Sequence[Kind]) -> Crossing:
    """Of ``rows``, the columns whose values come again, less those that another tells."""
    own = codes[rows]
    met = [np.bincount(own[:, at]) for at in range(own.shape[1])]
    distinct = [int(np.count_nonzero(one)) for one in met]
    again = [int(one[one > 1].sum()) for one in met]
    kept: list[int] = []
    lone = False
    for at in sorted(range(len(met)), key=lambda at: -distinct[at]):
        if distinct[at] < 2 or kinds[at] == "dates":
            continue
        if 2 * again[at] < len(own):
            lone = lone or kinds[at] == "words"
        elif not any(_told(own[:, other], own[:, at], distinct[other]) for other in kept):
            kept.append(at)
    filled = _filled(own, kept, distinct)
    if filled < WHOLE and any(kinds[at] == "counts" for at in kept):
        kept = [at for at in kept if kinds[at] != "counts"]
        filled = _filled(own, kept, distinct)
    values = sum(distinct[at] for at in kept)
    return Crossing(rows, tuple(sorted(kept)), filled, values, lone)


def cores(codes: Codes, kinds: Sequence[Kind]) -> Iterator[Crossing]:
    """What crosses of all names, and of those whose values come again once, twice, four times and
    so on (the cores of Seidman 1983): fewer and fewer, more and more alike."""
    rows = np.ones(len(codes), np.bool_)
    said = [at for at, kind in enumerate(kinds) if kind != "dates"]
    least = 1
    while least <= rows.sum():
        yield crossing(codes, rows, kinds)
        rows = _again(codes[:, said], rows, least + 1)
        least = 2 * least


def _again(codes: Codes, rows: Mask, least: int) -> Mask:
    """Of ``rows``, those that are left when none has a value met fewer than ``least`` times, in
    columns whose values come again."""
    for _ in range(_PASSES):
        own = np.flatnonzero(rows)
        few = np.zeros(len(own), np.bool_)
        for at in range(codes.shape[1]):
            met = np.bincount(codes[own, at])
            if 2 * met[met > 1].sum() >= len(own):
                few |= met[codes[own, at]] < least
        if not few.any():
            break
        rows = rows.copy()
        rows[own[few]] = False
    return rows


def near(codes: Codes, core: Crossing) -> Mask:
    """(names,) those that differ from the core's in one part at most: a value that is met nowhere
    else. What the core has throughout they have too."""
    own = codes[core.rows]
    unknown = np.zeros(len(codes), np.int64)
    for at in range(codes.shape[1]):
        known = np.isin(codes[:, at], own[:, at])
        if at in core.columns:
            unknown += ~known
        elif (own[:, at] == own[0, at]).all():
            unknown += len(core.columns) * ~known
    found: Mask = core.rows | (unknown <= 1)
    return found


def _told(by: Codes, column: Codes, distinct: int) -> bool:
    """Whether ``by``, of so many values, tells the other column's."""
    return len(np.unique(by * (column.max() + 1) + column)) == distinct


def _filled(own: Codes, kept: Sequence[int], distinct: Sequence[int]) -> float:
    if not kept:
        return 0.0
    possible, combined = 1, np.zeros(len(own), np.int64)
    for at in kept:
        possible *= distinct[at]
        pairs = combined * (own[:, at].max() + 1) + own[:, at]
        combined = np.unique(pairs, return_inverse=True)[1]
    return (int(combined.max()) + 1) / possible
