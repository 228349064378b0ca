"""The colours that a point takes from look to look, told from those that are known.

A *look* is a combination of the attributes that only colour (a skin tone). A point of a cell has a
colour in each look, (looks, 3): skin one series of colours, hair another, a line of ink the same
colour throughout. What is common in these series is learnt over all cells, as one normal
distribution with its covariance (expectation maximisation, Dempster et al. 1977), and, where the
gallery has the very series of a point in another cell, as that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

MOST_LOOKS = 64
ROUNDS = 10
# Variance of a level that says nothing: rounding, and the gallery's own coding.
NOISE = 2.0
FIRST_VARIANCE = 3000.0
# Points are one kind of point where they differ by less than this, in 8-bit levels.
SAME = 4.0
# Looks that two cells must share before a point of one tells of the other.
FEWEST_SHARED = 2


@dataclass(frozen=True)
class Points:
    """Some points of one cell, in the looks that the gallery has of it."""

    looks: tuple[int, ...]
    colours: Doubles  # (points, looks, 3), 8-bit levels

    @classmethod
    def of(cls, pictures: Doubles, look_of: Sequence[int] | NDArray[np.int64]) -> "Points":
        """From pictures, (assets, points, 3); assets of one look are averaged."""
        looks = sorted({int(look) for look in look_of})
        at = np.asarray(look_of)
        means = [pictures[at == look].mean(axis=0) for look in looks]
        return cls(tuple(looks), np.stack(means, axis=1))

    def flat(self) -> Doubles:
        return self.colours.reshape(len(self.colours), -1)


@dataclass(frozen=True)
class Prior:
    """How colours go together over the looks of a family."""

    mean: Doubles  # (looks, 3)
    covariance: Doubles  # (looks x 3, looks x 3)

    def foretold(self, points: Points) -> Doubles:
        """The expected colours in all looks, (points, looks, 3); known ones are kept."""
        place = _places(points.looks)
        gain = self.gain(points.looks)
        mean = self.mean.reshape(-1)
        every = mean + (points.flat() - mean[place]) @ gain.T
        every[:, place] = points.flat()
        return every.reshape(-1, *self.mean.shape)

    def gain(self, looks: Sequence[int]) -> Doubles:
        """Every look's change for a change in ``looks``: (all x 3, looks x 3)."""
        place = _places(looks)
        known = self.covariance[np.ix_(place, place)] + NOISE * np.eye(len(place))
        return np.asarray(np.linalg.solve(known, self.covariance[place]).T, dtype=np.float64)


def learn(cells: Sequence[Points], looks: int) -> Prior:
    """The distribution of points over ``looks`` looks, from cells that lack some."""
    size = 3 * looks
    total, count = np.zeros(size), np.zeros(size)
    for cell in cells:
        total[_places(cell.looks)] += cell.flat().sum(axis=0)
        count[_places(cell.looks)] += len(cell.colours)
    overall = total.sum() / max(count.sum(), 1)
    mean = np.where(count > 0, total / np.maximum(count, 1), overall)
    prior = Prior(mean.reshape(looks, 3), FIRST_VARIANCE * np.eye(size))
    for _ in range(ROUNDS):
        prior = _better(prior, cells)
    return prior


def _better(prior: Prior, cells: Sequence[Points]) -> Prior:
    size = prior.mean.size
    count, first, second = 0, np.zeros(size), np.zeros((size, size))
    for cell in cells:
        place = _places(cell.looks)
        gain = prior.gain(cell.looks)
        mean = prior.mean.reshape(-1)
        expected = mean + (cell.flat() - mean[place]) @ gain.T
        left = prior.covariance - gain @ prior.covariance[place]
        count += len(expected)
        first += expected.sum(axis=0)
        second += expected.T @ expected + len(expected) * left
    mean = first / count
    return Prior(mean.reshape(prior.mean.shape), second / count - np.outer(mean, mean))


class Table:
    """Colours in all looks for points that are known in some, from the prior and from points
    of other cells."""

    def __init__(self, prior: Prior, cells: Sequence[Points]) -> None:
        self.prior, self.cells = prior, list(cells)

    def filled(self, points: Points) -> Doubles:
        """(points, looks, 3): known colours kept, others as in the most alike point of a cell that
        has them, moved by what sets the two apart."""
        every = self.prior.foretold(points)
        for look in range(len(self.prior.mean)):
            if look not in points.looks:
                every[:, look] = self._from_others(points, look, every[:, look])
        return every.clip(0, 255)

    def _from_others(self, points: Points, look: int, expected: Doubles) -> Doubles:
        found, nearest = expected.copy(), np.full(len(expected), np.inf)
        needed = min(FEWEST_SHARED, len(points.looks))
        for cell in self.cells:
            shared = [one for one in points.looks if one in cell.looks]
            if look not in cell.looks or len(shared) < needed:
                continue
            own = points.colours[:, [points.looks.index(one) for one in shared]]
            other = cell.colours[:, [cell.looks.index(one) for one in shared]]
            own, other = own.reshape(len(own), -1), other.reshape(len(other), -1)
            distance, at = _nearest(own, other)
            distance /= len(shared)
            closer = distance < nearest
            gain = self.prior.gain(shared)[3 * look : 3 * look + 3]
            colour = cell.colours[at, cell.looks.index(look)] + (own - other[at]) @ gain.T
            found[closer], nearest[closer] = colour[closer], distance[closer]
        return found


def kinds(colours: Doubles) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """One point of each kind, and each point's kind, of ``colours``, (points, ...)."""
    steps = np.rint(colours.reshape(len(colours), -1) / SAME).astype(np.int16)
    _, first, of = np.unique(steps, axis=0, return_index=True, return_inverse=True)
    return first, of.reshape(-1)


def _nearest(own: Doubles, other: Doubles) -> tuple[Doubles, NDArray[np.intp]]:
    square = np.square(own).sum(axis=1)[:, None] + np.square(other).sum(axis=1)
    distance = square - 2 * own @ other.T
    at = distance.argmin(axis=1)
    return np.maximum(distance[np.arange(len(own)), at], 0), at


def _places(looks: Sequence[int]) -> NDArray[np.intp]:
    return (3 * np.array(looks, dtype=np.intp)[:, None] + np.arange(3)).reshape(-1)
