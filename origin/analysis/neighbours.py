"""Which pictures lie alike: nearest neighbours by layout, found in blocks of a few hundred.

A block is decided by the pictures themselves (signs of random projections, as many as it takes to
be small; Charikar 2002), in several independent ways, so that neighbours parted by one are together
in another. Within a block the search is exact. So the work grows as the number of pictures, blocks
may be searched anywhere, and the answer does not depend on where.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from usearch.index import search

Layouts = NDArray[np.int8]
Rows = NDArray[np.intp]
Keys = NDArray[np.uint64]

BLOCK: Final = 512
WAYS: Final = 4
NEAREST: Final = 8
_BITS: Final = 64
# So many pictures are projected at once: memory stays flat.
PART: Final = 1 << 16
_SEED: Final = 20


def keys_of(layouts: Layouts | NDArray[np.float32], way: int) -> Keys:
    """(pictures,) 64 signs of projections each: the same for a picture whatever is beside it."""
    planes = np.random.default_rng([_SEED, way]).standard_normal(
        (layouts.shape[1], _BITS), np.float32
    )
    keys = np.empty(len(layouts), np.uint64)
    for begin in range(0, len(layouts), PART):
        bits = layouts[begin : begin + PART].astype(np.float32) @ planes > 0
        keys[begin : begin + PART] = np.packbits(bits, axis=1).view(">u8")[:, 0]
    return keys


def blocks_of(keys: Keys) -> Iterator[Rows]:
    """Rows in blocks of at most :data:`BLOCK`, those with the same first signs together.

    Where 64 signs do not tell more than a block's worth apart, each of its parts begins with the
    same rows, so that they are joined through those.
    """
    order = np.argsort(keys, kind="stable")
    yield from _split(order, keys[order], 0)


def _split(rows: Rows, keys: Keys, bit: int) -> Iterator[Rows]:
    if len(rows) <= BLOCK:
        if len(rows) > 1:
            yield rows
        return
    if bit == _BITS:
        yield from chained(rows)
        return
    middle = int(np.searchsorted(keys >> np.uint64(_BITS - 1 - bit) & np.uint64(1), 1))
    yield from _split(rows[:middle], keys[:middle], bit + 1)
    yield from _split(rows[middle:], keys[middle:], bit + 1)


def chained(rows: Rows) -> Iterator[Rows]:
    """A long run of rows in blocks that share their first quarter."""
    if len(rows) <= BLOCK:
        if len(rows) > 1:
            yield rows
        return
    anchors = rows[: BLOCK // 4]
    step = BLOCK - len(anchors)
    for begin in range(len(anchors), len(rows), step):
        yield np.concatenate([anchors, rows[begin : begin + step]])


def pairs_in(rows: Rows, layouts: Layouts, farthest: float) -> NDArray[np.intp]:
    """(pairs, 2) rows of a block whose cosine distance is at most ``farthest``, each row with its
    nearest few."""
    if len(rows) < 2:
        return np.empty((0, 2), np.intp)
    held = np.ascontiguousarray(layouts[rows])
    count = min(NEAREST + 1, len(rows))
    found = search(held, held, count, "cos", exact=True, threads=1)
    near = np.asarray(found.distances) <= farthest
    one = np.repeat(rows, count).reshape(near.shape)[near]
    other = rows[np.asarray(found.keys, np.intp)[near]]
    pairs: Rows = np.stack([one, other], axis=1)[one != other]
    return pairs


def groups_of(
    layouts: Layouts, farthest: float, together: Iterable[Sequence[int]] = ()
) -> NDArray[np.intp]:
    """(pictures,) the least row that each is joined with through neighbours.

    ``together`` are rows that may be alike for another reason (their names), searched as well.
    """
    top = np.arange(len(layouts))
    blank: NDArray[np.bool_] = np.equal(
        layouts.any(axis=1), False
    )  # nothing to compare: alone, not all alike
    for way in range(WAYS):
        for block in blocks_of(keys_of(layouts, way)):
            _join(top, pairs_in(block[~blank[block]], layouts, farthest))
    for rows in together:
        there = np.asarray(rows, np.intp)
        for block in chained(there[~blank[there]]):
            _join(top, pairs_in(block, layouts, farthest))
    return _settled(top)


def _join(top: NDArray[np.intp], pairs: NDArray[np.intp]) -> None:
    for one, other in pairs.tolist():
        low, high = sorted((_find(top, one), _find(top, other)))
        top[high] = low


def _find(top: NDArray[np.intp], at: int) -> int:
    while (above := int(top[at])) != at:
        top[at] = top[above]
        at = above
    return at


def _settled(top: NDArray[np.intp]) -> NDArray[np.intp]:
    return np.array([_find(top, at) for at in range(len(top))], np.intp)
