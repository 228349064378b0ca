"""Which attributes move things about, and which only colour them.

An attribute belongs to the *layout* when the others' effects differ from value to value of it:
then pictures that were not seen are foretold much better by fitting each value by itself.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Splitting must remove this much of the held-out error, or it only costs bytes.
GAIN = 0.5
# Root mean square in levels: an error that nobody sees is no reason to split.
LEAST_ERROR = 0.3
FOLDS = 4
FEWEST = 4


@dataclass(frozen=True)
class Layouts:
    """How a gallery falls into layouts."""

    by: tuple[str, ...]  # the layout attributes
    values: tuple[tuple[str, ...], ...]  # their values in each layout
    members: tuple[tuple[int, ...], ...]  # the assets of each layout


def find_layouts(
    thumbnails: NDArray[np.float32], attributes: Sequence[Mapping[str, str]], seed: int
) -> Layouts:
    """Split a gallery greedily while the held-out error at least halves.

    ``thumbnails``: (assets, elements), pictures reduced to some thousand elements.
    """
    by: tuple[str, ...] = ()
    groups = _groups(attributes, by)
    error = _held_out(thumbnails, attributes, groups, seed)
    while True:
        trials = []
        for name in attributes[0]:
            split = _groups(attributes, (*by, name))
            if name not in by and min(map(len, split.values())) >= FEWEST:
                trials.append((_held_out(thumbnails, attributes, split, seed), (*by, name), split))
        small = error < LEAST_ERROR**2 * thumbnails.size
        if small or not trials or (best := min(trials))[0] > GAIN * error:
            return Layouts(by, tuple(groups), tuple(tuple(at) for at in groups.values()))
        error, by, groups = best


def design(
    attributes: Sequence[Mapping[str, str]], values: Mapping[str, Sequence[str]]
) -> NDArray[np.float32]:
    """One column per (attribute, value): 1 where an asset has it. (assets, values)."""
    columns = [(name, value) for name, known in values.items() for value in known]
    rows = [[asset[name] == value for name, value in columns] for asset in attributes]
    return np.array(rows, dtype=np.float32).reshape(len(attributes), len(columns))


def _groups(
    attributes: Sequence[Mapping[str, str]], by: tuple[str, ...]
) -> dict[tuple[str, ...], list[int]]:
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for at, asset in enumerate(attributes):
        groups[tuple(asset[name] for name in by)].append(at)
    return dict(sorted(groups.items()))


def _held_out(
    thumbnails: NDArray[np.float32],
    attributes: Sequence[Mapping[str, str]],
    groups: Mapping[tuple[str, ...], Sequence[int]],
    seed: int,
) -> float:
    """Squared error of additive effects, fitted in each group, on assets left out in turn."""
    values = {name: sorted({a[name] for a in attributes}) for name in attributes[0]}
    whole = design(attributes, values)
    fold = np.random.default_rng(seed).permutation(len(attributes)) % FOLDS
    error = 0.0
    for members in groups.values():
        columns, pictures, folds = whole[members], thumbnails[members], fold[list(members)]
        for left_out in set(folds):
            kept = folds != left_out
            error += _error(columns, pictures, kept)
    return error


def _error(
    columns: NDArray[np.float32], pictures: NDArray[np.float32], kept: NDArray[np.bool_]
) -> float:
    if not kept.any():
        return float(np.square(pictures).sum())
    mean = pictures[kept].mean(axis=0)
    effects = np.linalg.pinv(columns[kept], rcond=1e-3) @ (pictures[kept] - mean)
    foretold = mean + columns[~kept] @ effects
    return float(np.square(pictures[~kept] - foretold).sum())
