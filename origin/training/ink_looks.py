"""The colours that inks take in looks that the gallery lacks, told by the same inks elsewhere.

An ink of another cell is the same where both have the same colours in the looks that both have.
Several may be: hair and a tie may be of one black, until a look changes the hair. Then the one that
lies where this one does decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from origin.training.colour_table import FEWEST_SHARED, Points, Table, learn

Doubles = NDArray[np.float64]

# Inks are the same within this many 8-bit levels (root mean square).
SAME = 4.0
# An ink that moves by no more than this is held still where nothing tells of it.
STILL = 3.0
# What a level of difference costs against lying at another place altogether.
PER_LEVEL = 0.1


@dataclass(frozen=True)
class CellInks:
    """A cell's inks in the looks that it has, and where each lies."""

    points: Points
    places: Doubles  # (inks, places), how much of each place is of the ink


def in_all_looks(cells: Sequence[CellInks], looks: int) -> list[Doubles]:
    """Each cell's inks, (inks, looks, 3): known colours kept, others foretold."""
    table = Table(learn([one.points for one in cells], looks), [one.points for one in cells])
    return [_filled(own, cells, table) for own in cells]


def _filled(own: CellInks, cells: Sequence[CellInks], table: Table) -> Doubles:
    known = own.points
    every = table.prior.foretold(known) if len(known.looks) < FEWEST_SHARED else table.filled(known)
    still = np.ptp(known.colours, axis=1).max(axis=-1) <= STILL
    every[still] = known.colours[still].mean(axis=1, keepdims=True)
    every[:, list(known.looks)] = known.colours
    for look in range(every.shape[1]):
        if look not in known.looks:
            _take_same(own, cells, look, every)
    return every.clip(0, 255)


def _take_same(own: CellInks, cells: Sequence[CellInks], look: int, every: Doubles) -> None:
    """Where other cells have the same inks in ``look``, take the colour of the best placed."""
    best = np.full(len(every), np.inf)
    for cell in cells:
        shared = [one for one in own.points.looks if one in cell.points.looks]
        if look not in cell.points.looks or not shared:
            continue
        mine, theirs = _in_looks(own.points, shared), _in_looks(cell.points, shared)
        away = np.sqrt(np.square(mine[:, None] - theirs).mean(axis=-1))
        # Sharing fewer looks tells less.
        missing = len(own.points.looks) - len(shared)
        cost = PER_LEVEL * away + 1 - _overlap(own.places, cell.places) + missing
        cost[away > SAME] = np.inf
        at = cost.argmin(axis=1)
        least = cost[np.arange(len(cost)), at]
        better = least < best
        best[better] = least[better]
        change = (mine - theirs[at]).reshape(len(mine), -1, 3).mean(axis=1)
        colours = cell.points.colours[at, cell.points.looks.index(look)] + change
        every[better, look] = colours[better]


def _in_looks(points: Points, looks: Sequence[int]) -> Doubles:
    at = [points.looks.index(one) for one in looks]
    return points.colours[:, at].reshape(len(points.colours), -1)


def _overlap(mine: Doubles, theirs: Doubles) -> Doubles:
    """0 to 1: the share of two inks' area that both cover, (inks, inks)."""
    both = np.stack([np.minimum(one, theirs).sum(axis=1) for one in mine])
    either = mine.sum(axis=1)[:, None] + theirs.sum(axis=1) - both
    return np.asarray(both / np.maximum(either, 1e-9))
