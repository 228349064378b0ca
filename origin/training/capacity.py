"""How much a family needs: linear light or display levels, and how many pictures an attribute.

Chosen by what a fit foretells of pictures left out, on a grid of sample pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from origin.training.transport import Cell, Codes, Doubles, Floats, fit, shares
from regional_gpu.generator.light import display, light

FOLDS = 4
# One more picture must take this share, and this many squared 8-bit levels, off the error.
GAIN = 0.35
LEAST_LEVELS = 0.14
# An attribute's only picture must take this share off the error that is left without it.
WORTH = 0.05
LEVELS = np.arange(256, dtype=np.float32)


@dataclass(frozen=True)
class Capacity:
    """What a family was found to need."""

    linear: bool  # light adds up, not display levels
    ranks: Mapping[int, int]  # pictures a cell for each attribute, by its place
    error: float  # root mean square of display levels, of pictures left out


def choose(
    samples: NDArray[np.uint8],
    columns: Doubles,
    attribute_of: NDArray[np.intp],
    members: Sequence[Sequence[int]],
    seed: int,
) -> Capacity:
    """The domain and ranks that foretell best.

    ``samples``: (assets, points, 3) pixels; ``columns``: (assets, values), 1 where an asset has a
    value; ``attribute_of``: the place of each value's attribute, -1 where it is held still
    within a cell; ``members``: the assets of each cell.
    """
    fold = np.random.default_rng(seed).permutation(len(samples)) % FOLDS
    return min(
        (_grow(samples, columns, attribute_of, members, fold, linear) for linear in (True, False)),
        key=lambda found: found.error**2 + LEAST_LEVELS**2 * sum(found.ranks.values()),
    )


def tables(linear: bool) -> Floats:
    """What 8-bit levels stand for in the domain, (256,)."""
    return light(LEVELS) if linear else LEVELS


def gram(pictures: Floats) -> Doubles:
    """Inner products of centred pictures, (assets, points, 3), by channel: (3, assets, assets)."""
    centred = (pictures - pictures.mean(axis=0)).transpose(2, 0, 1)
    return np.asarray(centred @ centred.transpose(0, 2, 1), dtype=np.float64)


def _grow(
    samples: NDArray[np.uint8],
    columns: Doubles,
    attribute_of: NDArray[np.intp],
    members: Sequence[Sequence[int]],
    fold: NDArray[np.intp],
    linear: bool,
) -> Capacity:
    most = {at: int((attribute_of == at).sum()) - 1 for at in set(attribute_of.tolist()) - {-1}}

    def error(ranks: Mapping[int, int]) -> float:
        return _held_out(samples, columns, attribute_of, members, fold, linear, ranks)

    # Together first: of several attributes none takes a third of the error off by itself.
    ranks = {at: 1 for at in most if most[at]}
    left = error(ranks)
    for at in list(ranks):
        others = {other: rank for other, rank in ranks.items() if other != at}
        without = error(others)
        if without**2 - left**2 < max(WORTH * left**2, LEAST_LEVELS**2):
            left, ranks = without, others
    while True:
        trials = [ranks | {at: ranks.get(at, 0) + 1} for at in most if ranks.get(at, 0) < most[at]]
        found = min(((error(trial), at) for at, trial in enumerate(trials)), default=(left, 0))
        gain = left**2 - found[0] ** 2
        if gain < max(GAIN * left**2, LEAST_LEVELS**2):
            return Capacity(linear, ranks, left)
        left, ranks = found[0], trials[found[1]]


def _held_out(
    samples: NDArray[np.uint8],
    columns: Doubles,
    attribute_of: NDArray[np.intp],
    members: Sequence[Sequence[int]],
    fold: NDArray[np.intp],
    linear: bool,
    ranks: Mapping[int, int],
) -> float:
    every = np.ones(len(samples), dtype=np.bool_)
    splits = [
        (fold != out, (fold == out) & _told(columns, attribute_of, fold != out))
        for out in range(FOLDS)
    ]
    if not any(judged.any() for _, judged in splits):
        # Every value is seen once: only the images themselves can tell.
        splits = [(every, every)]
    table, total, count = tables(linear), 0.0, 0
    for kept, judged in splits:
        parts = [np.array(at)[kept[list(at)]] for at in members]
        if min(map(len, parts)) == 0:
            continue
        pictures = [table[samples[part]] for part in parts]
        cells = [Cell(gram(own), columns[part]) for own, part in zip(pictures, parts, strict=True)]
        codes = fit(cells, attribute_of, ranks)
        for at, cell, own in zip(members, cells, pictures, strict=True):
            new = np.array(at)[judged[list(at)]]
            foretold = _foretold(cell, codes, own, columns[new])
            levels = display(foretold) if linear else foretold
            total += float(np.square(levels.clip(0, 255) - samples[new]).sum())
            count += samples[new].size
    return float(np.sqrt(total / max(count, 1)))


def _told(
    columns: Doubles, attribute_of: NDArray[np.intp], kept: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which assets have only values that ``kept`` ones show."""
    unknown = (columns[kept].sum(axis=0) == 0) & (attribute_of >= 0)
    return np.asarray(columns @ unknown == 0)


def _foretold(cell: Cell, codes: Codes, pictures: Floats, columns: Doubles) -> Floats:
    mean = pictures.mean(axis=0)
    change = codes.rows(columns) - codes.rows(cell.columns).mean(axis=0)
    weights = np.einsum("nkc,cka->nac", change, shares(cell, codes)).astype(np.float32)
    centred = (pictures - mean).transpose(2, 0, 1)
    return np.asarray(mean + (weights.transpose(2, 0, 1) @ centred).transpose(1, 2, 0))
