"""Pictures of one kind: arrangements that are built alike, though they are not the same.

Average linkage (Sokal and Michener 1958) among pictures of one size. Groups that are each other's
nearest are joined at once, which for average linkage gives the tree that one at a time does
(Murtagh 1983). Single links would chain a whole inventory together.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from origin.analysis.joined import Joined
from origin.analysis.neighbours import BLOCK, PART, WAYS, blocks_of, keys_of

Rows = NDArray[np.intp]
Floats = NDArray[np.float32]

# Mean cosine distance between two groups of one kind: the middle of where the tuning and the
# held-out inventory, under names that say nothing, change little (0.31 to 0.34).
FARTHEST_KIND: Final = 0.33
# The same of the mean with a network's likeness: what it sees as one may have any edges.
FARTHEST_SEEN: Final = 0.36


def kinds_of(
    layouts: NDArray[np.int8],
    embeddings: NDArray[np.int8],
    sizes: Sequence[tuple[int, int]],
    alike: Rows,
) -> Rows:
    """(pictures,) a number for each one's kind; pictures that lie ``alike`` are of one.

    ``embeddings`` are (pictures, features) of a feature network, (pictures, 0) without: then
    likeness is the mean of both.
    """
    by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row, size in enumerate(sizes):
        by_size[size].append(row)
    joined = Joined(int(alike.max()) + 1 if len(alike) else 0)
    farthest = FARTHEST_SEEN if embeddings.shape[1] else FARTHEST_KIND
    for listed in by_size.values():
        rows = np.array(listed, np.intp)
        cells, cell = np.unique(alike[rows], return_inverse=True)
        sums = _sums(layouts, embeddings, rows, cell)
        stands = _standing_for(sums, np.bincount(cell).astype(np.float32), farthest)
        for own, first in zip(cells.tolist(), cells[stands].tolist(), strict=True):
            joined.join(first, own)
    return np.array([joined.top(int(one)) for one in alike], np.intp)


def _sums(
    layouts: NDArray[np.int8], embeddings: NDArray[np.int8], rows: Rows, cell: Rows
) -> Floats:
    """(cells, features) the sum of what each cell's pictures are, as unit vectors."""
    found = np.zeros((int(cell.max()) + 1, layouts.shape[1] + embeddings.shape[1]), np.float32)
    for begin in range(0, len(rows), PART):
        own = rows[begin : begin + PART]
        units = _units(layouts[own])
        if embeddings.shape[1]:
            units = np.hstack([units, _units(embeddings[own])]) / np.sqrt(np.float32(2))
        np.add.at(found, cell[begin : begin + PART], units)
    return found


def _units(directions: NDArray[np.int8]) -> Floats:
    found = directions.astype(np.float32)
    found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6)
    return found


def _standing_for(sums: Floats, members: Floats, farthest: float) -> Rows:
    """(cells,) the cell that stands for each one's kind; both arguments are added up in place."""
    count = len(sums)
    stands = np.arange(count)
    active = np.arange(count)
    while len(active) > 1:
        # The mean cosine between the members of two groups is the product of their means.
        pairs, near = _reciprocal(sums[active] / members[active, None], farthest)
        if not len(pairs):
            break
        kept, gone = active[pairs].T
        sums[kept] += sums[gone]
        members[kept] += members[gone]
        moved = np.arange(count)
        moved[gone] = kept
        stands = moved[stands]
        # Joining never brings a group nearer to a third than its nearer half was.
        active = np.setdiff1d(active[near], gone)
    return stands


def _reciprocal(means: Floats, farthest: float) -> tuple[Rows, NDArray[np.bool_]]:
    """(pairs, 2) rows that are each other's nearest and near enough, the lesser first; and which
    rows have any near enough."""
    nearest = np.arange(len(means))
    likeness = np.full(len(means), -np.inf, np.float32)
    for way in range(1 if len(means) <= BLOCK else WAYS):
        for block in blocks_of(keys_of(means, way)):
            rows = np.sort(block)
            alike = means[rows] @ means[rows].T
            np.fill_diagonal(alike, -np.inf)
            best = alike.argmax(axis=1)
            found = alike[np.arange(len(rows)), best]
            nearer = found > likeness[rows]
            nearest[rows[nearer]] = rows[best[nearer]]
            likeness[rows[nearer]] = found[nearer]
    near = likeness >= 1 - farthest
    rows = np.flatnonzero(near & (nearest[nearest] == np.arange(len(means))))
    rows = rows[rows < nearest[rows]]
    return np.stack([rows, nearest[rows]], axis=1), near
