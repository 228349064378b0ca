"""Sums that begin anew with each calendar month, as tiers of prices do."""

from collections.abc import Hashable, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def run_on(of: Floats, months: Sequence[Hashable]) -> Floats:
    """What each month came to so far: sums along the second axis, whose places have ``months``."""
    found = of.copy()
    for _, same in groupby(range(len(months)), key=lambda number: months[number]):
        first, *others = same
        span = slice(first, first + 1 + len(others))
        np.cumsum(of[:, span], axis=1, out=found[:, span])
    return found


def before(so_far: Floats, months: Sequence[Hashable]) -> Floats:
    """What each month had come to before: nothing where it begins."""
    moved = np.roll(so_far, 1, axis=1)
    begins = [not place or months[place - 1] != one for place, one in enumerate(months)]
    moved[:, begins] = 0.0
    return moved
