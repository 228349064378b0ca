"""What a family varies in: whether some attributes change what is shown, and which ones.

Such attributes part the gallery into *cells* (a motif; a trade and a gender) of a few images
each, too few to fit a cell by itself. Within a cell the other attributes only move colours, and
do so alike in all cells: a point of which some colours are known is foretold from the others.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from origin.training.colour_table import MOST_LOOKS, Points, learn
from origin.training.layouts import FOLDS, Layouts, design

Attributes = Sequence[Mapping[str, str]]

# Cells must foretell left-out pictures with at most this share of the layouts' squared error.
GAIN = 0.75
# What draws the gallery itself within this error (root mean square of 8-bit levels) serves it.
FIT = 2.0
FEWEST_CELLS = 3
SAMPLE_POINTS = 240
MOST_CELL_ATTRIBUTES = 3


@dataclass(frozen=True)
class Content:
    """A family's cells and looks (combinations of all other attributes), and why.

    Errors are of pictures left out, reduced: root mean square of 8-bit levels.
    """

    by: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    looks: tuple[tuple[str, ...], ...]
    cell_of: tuple[int, ...]  # by asset
    look_of: tuple[int, ...]
    error: float
    fit: float  # of pictures that were not left out
    spread: float  # of all pictures about their mean
    layouts_error: float  # were the gallery parted into layouts only


def find_content(
    thumbnails: NDArray[np.float32], attributes: Attributes, layouts: Layouts, seed: int
) -> Content | None:
    """The parting into cells that foretells left-out pictures best; None where layouts serve.

    ``thumbnails``: (assets, elements), pictures of three channels reduced to some thousand
    elements; ``layouts``: the family parted as one whose attributes only colour.
    """
    rng = np.random.default_rng(seed)
    every = thumbnails.reshape(len(thumbnails), -1, 3)
    some = rng.choice(every.shape[1], min(SAMPLE_POINTS, every.shape[1]), replace=False)
    points = np.asarray(every[:, np.sort(some)], dtype=np.float64)
    if _layouts_error(points, attributes, layouts) < FIT:
        return None
    order = rng.permutation(len(points))
    trials = [_tried(points, attributes, by, layouts, order) for by in _partings(attributes)]
    better = [trial for trial in trials if trial.error**2 <= GAIN * trial.layouts_error**2]
    return min(better, key=lambda trial: (max(trial.fit, FIT), trial.error), default=None)


def _partings(attributes: Attributes) -> Iterator[tuple[str, ...]]:
    names = tuple(attributes[0])
    for size in range(1, min(MOST_CELL_ATTRIBUTES, len(names) - 1) + 1):
        for by in combinations(names, size):
            cells, looks = _parted(attributes, by)
            if len(set(cells)) >= FEWEST_CELLS and 1 < len(set(looks)) <= MOST_LOOKS:
                yield by


def _parted(
    attributes: Attributes, by: Sequence[str]
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    others = [name for name in attributes[0] if name not in by]
    cells = [tuple(asset[name] for name in by) for asset in attributes]
    return cells, [tuple(asset[name] for name in others) for asset in attributes]


def _tried(
    points: NDArray[np.float64],
    attributes: Attributes,
    by: tuple[str, ...],
    layouts: Layouts,
    order: NDArray[np.int64],
) -> Content:
    of_cell, of_look = _parted(attributes, by)
    cells, looks = sorted(set(of_cell)), sorted(set(of_look))
    cell_of = np.array([cells.index(cell) for cell in of_cell])
    look_of = np.array([looks.index(look) for look in of_look])
    fold = _folds(attributes, of_cell, order)
    additive = additive_span(looks)

    def misfit(kept: NDArray[np.bool_], judged: NDArray[np.bool_]) -> float:
        total = 0.0
        known = {
            cell: Points.of(points[kept & (cell_of == cell)], look_of[kept & (cell_of == cell)])
            for cell in np.unique(cell_of[kept])
        }
        prior = learn(list(known.values()), len(looks))
        for cell in np.unique(cell_of[judged]):
            new = np.flatnonzero(judged & (cell_of == cell))
            if cell in known:
                table = prior.foretold(known[cell])
            else:
                table = np.tile(prior.mean, (points.shape[1], 1, 1))
            foretold = np.einsum("nl,plc->pnc", additive[look_of[new]], table)
            total += float(np.square(foretold.transpose(1, 0, 2) - points[new]).sum())
        return total

    whole = np.ones(len(fold), dtype=np.bool_)
    fit = misfit(whole, whole)
    error = sum(misfit(fold != left_out, fold == left_out) for left_out in range(FOLDS))
    return Content(
        by,
        tuple(cells),
        tuple(looks),
        tuple(map(int, cell_of)),
        tuple(map(int, look_of)),
        float(np.sqrt(error / points.size)),
        float(np.sqrt(fit / points.size)),
        float(np.sqrt(points.var(axis=0).mean())),
        _layouts_error(points, attributes, layouts, fold),
    )


def _folds(
    attributes: Attributes, cell_of: Sequence[tuple[str, ...]], order: NDArray[np.int64]
) -> NDArray[np.int64]:
    """A fold for each picture, dealt in a random ``order`` to where its cell is rarest, then the
    values of its attributes: what is left out leaves something of each that has two pictures."""
    nothing = np.zeros(FOLDS, dtype=np.int64)
    cells = {cell: nothing.copy() for cell in cell_of}
    values = {value: nothing.copy() for asset in attributes for value in asset.items()}
    fold = np.empty_like(order)
    for at in order:
        cell, own = cells[cell_of[at]], [values[value] for value in attributes[at].items()]
        # The last key is the first to count.
        fold[at] = np.lexsort((np.sum(own, axis=0), cell))[0]
        for dealt in (cell, *own):
            dealt[fold[at]] += 1
    return fold


def additive_span(looks: Sequence[tuple[str, ...]]) -> NDArray[np.float64]:
    """Projects colours by look onto sums of what each value of a look adds, (looks, looks)."""
    names = [str(at) for at in range(len(looks[0]))]
    rows = [dict(zip(names, look, strict=True)) for look in looks]
    columns = design(rows, {name: sorted({row[name] for row in rows}) for name in names})
    columns = np.concatenate([columns, np.ones((len(looks), 1))], axis=1).astype(np.float64)
    return np.asarray(columns @ np.linalg.pinv(columns, rcond=1e-6))


def _layouts_error(
    points: NDArray[np.float64],
    attributes: Attributes,
    layouts: Layouts,
    fold: NDArray[np.int64] | None = None,
) -> float:
    """The error of additive effects in each layout: of pictures left out by ``fold``, else of those
    fitted."""
    known = {name: sorted({asset[name] for asset in attributes}) for name in attributes[0]}
    columns = design(attributes, known).astype(np.float64)
    total = 0.0
    for members in layouts.members:
        own, pictures = columns[list(members)], points[list(members)].reshape(len(members), -1)
        for left_out in range(FOLDS if fold is not None else 1):
            kept = np.ones(len(members), dtype=np.bool_)
            judged = kept
            if fold is not None:
                kept, judged = fold[list(members)] != left_out, fold[list(members)] == left_out
            mean = pictures[kept].mean(axis=0) if kept.any() else np.zeros(pictures.shape[1])
            effects = np.linalg.pinv(own[kept], rcond=1e-3) @ (pictures[kept] - mean)
            total += float(np.square(pictures[judged] - mean - own[judged] @ effects).sum())
    return float(np.sqrt(total / points.size))
