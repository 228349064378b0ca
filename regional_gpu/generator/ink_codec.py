"""Drawings in few inks as bytes: which ink lies at each point, and edges between two of them.

A drawing says of each point its ink, and how much of a neighbouring ink is mixed in: that is what
an edge is that a rasteriser has smoothed. Inks are coded by which of the points around had the
same; shares of another ink by the shape of the border that they lie on. What an ink looks like
is not said here.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kvsync.errors import InputError, ModelError
from regional_gpu.generator.entropy import DIRECT, Contexts, Ints, Reader, Writer

Bytes = NDArray[np.uint8]

MOST_INKS: Final = 250
MOST_LEVELS: Final = 2 * (DIRECT - 1)
"""A share is at most half of them: below DIRECT."""
MOST_SIDE: Final = 4096
MOST_CELLS: Final = 4096
LANES: Final = 128
"""States side by side: more decode faster and cost four bytes each."""
NONE: Final = 255
"""The ink beyond the edge."""
MARGIN: Final = 3
_HEADER: Final = struct.Struct("<HHHBIIII")

# Around a point (down, right). A point's ink is the first of CANDIDATES that has it, else named.
CANDIDATES: Final = ((0, -1), (-1, 0), (-1, 1), (-1, -1))
# Pairs of points before this one: whether they have the same ink makes its context.
PAIRS: Final = (
    ((0, -1), (-1, 0)),
    ((0, -1), (-1, -1)),
    ((-1, 0), (-1, -1)),
    ((-1, 0), (-1, 1)),
    ((0, -2), (0, -1)),
    ((-2, 0), (-1, 0)),
    ((-2, 1), (-1, 1)),
    ((-1, -2), (-1, -1)),
    ((-2, -1), (-1, -1)),
    ((-2, 2), (-1, 1)),
    ((-3, 1), (-2, 1)),
    ((0, -3), (0, -2)),
)
BEFORE: Final = tuple({*CANDIDATES, *(one for pair in PAIRS for one in pair)})
NEIGHBOURS: Final = ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))
"""The first four border on a point."""
# Shares of neighbours as contexts: none, little, much.
_HALVES: Final = np.array([0, 1, 1, *[2] * (DIRECT - 3)])
HALVES: Final = 3


@dataclass(frozen=True)
class Drawing:
    """Points of cells, each (cells, height, width), 8-bit: the ink of each, another ink, and that
    one's share in ``levels`` parts. Where a share is more than 0 a neighbour has the other ink."""

    inks: Bytes
    others: Bytes
    shares: Bytes
    levels: int


def encode(drawing: Drawing) -> bytes:
    """Raises InputError for what `Drawing` rules out."""
    cells, height, width = drawing.inks.shape
    sound = drawing.others.shape == drawing.shares.shape == drawing.inks.shape
    sound = sound and drawing.inks.max(initial=0) < MOST_INKS and 1 < drawing.levels <= MOST_LEVELS
    if not sound or not _fits(cells, height, width) or drawing.shares.max() >= DIRECT:
        raise InputError(f"a drawing of {drawing.inks.shape} points in more than it may have")
    writers = [Writer(one) for one in _contexts()]
    _walk_inks(writers[0], writers[1], drawing.inks)
    _walk_shares(writers[2], writers[3], drawing.inks, drawing.others, drawing.shares)
    streams = [one.stream(LANES) for one in writers]
    header = _HEADER.pack(cells, height, width, drawing.levels, *map(len, streams))
    return header + b"".join(streams)


def decode(stream: bytes) -> Drawing:
    """Raises ModelError when the stream is broken."""
    try:
        cells, height, width, levels, *lengths = _HEADER.unpack_from(stream)
    except struct.error:
        raise ModelError("decoder: not a stream of drawings; fetch the model again") from None
    if not _fits(cells, height, width) or not 1 < levels <= MOST_LEVELS:
        raise ModelError("decoder: not a stream of drawings; fetch the model again")
    ends = np.cumsum([_HEADER.size, *lengths])
    readers = [
        Reader(contexts, stream[start:end])
        for contexts, start, end in zip(_contexts(), ends, ends[1:], strict=False)
    ]
    inks = _walk_inks(readers[0], readers[1], np.zeros((cells, height, width), np.uint8))
    others, shares = _walk_shares(readers[2], readers[3], inks, inks.copy(), np.zeros_like(inks))
    for one in readers:
        one.finish()
    return Drawing(inks, others, shares, levels)


def _fits(cells: int, height: int, width: int) -> bool:
    return 0 < cells <= MOST_CELLS and 0 < height <= MOST_SIDE and 0 < width <= MOST_SIDE


def _contexts() -> tuple[Contexts, Contexts, Contexts, Contexts]:
    """For each pattern of pairs which of the candidates; for inks that are named; for each shape
    of border the share; for the number of other inks around, which of them."""
    return (
        Contexts(np.full(1 << len(PAIRS), 4), 1 + len(CANDIDATES)),
        Contexts(np.full(1, 160)),
        Contexts(np.full(HALVES**2 << len(NEIGHBOURS), 16), DIRECT),
        Contexts(np.full(1 + len(NEIGHBOURS), 4), len(NEIGHBOURS)),
    )


def _walk_inks(coder: Writer | Reader, names: Writer | Reader, inks: Bytes) -> Bytes:
    """Hand every ink to writers, or take all from readers, along lines of two right, one up: all
    points of such a line, in all cells, are coded at once."""
    cells, height, width = inks.shape
    wide = width + 2 * MARGIN
    grid = np.full((cells, (height + MARGIN) * wide), NONE, dtype=np.uint8)
    for line in range(width + 2 * (height - 1)):
        rows = np.arange(max(0, -(-(line - width + 1) // 2)), min(height, line // 2 + 1))
        columns = line - 2 * rows
        at = (rows + MARGIN) * wide + columns + MARGIN
        near = {
            (down, right): grid[:, at + down * wide + right].reshape(-1) for down, right in BEFORE
        }
        context = np.zeros(len(at) * cells, dtype=np.int64)
        for bit, (one, other) in enumerate(PAIRS):
            context |= (near[one] == near[other]).astype(np.int64) << bit
        own = inks[:, rows, columns].reshape(-1)
        found = np.full(len(own), len(CANDIDATES), dtype=np.int64)
        for place, one in reversed(list(enumerate(CANDIDATES))):
            found[near[one] == own] = place
        found = coder.numbers(context, found, signed=False)
        new = found == len(CANDIDATES)
        named = names.numbers(
            np.zeros(int(new.sum()), np.int64), own[new].astype(np.int64), signed=False
        )
        own = np.choose(np.minimum(found, len(CANDIDATES) - 1), [near[one] for one in CANDIDATES])
        own[new] = named
        grid[:, at] = own.reshape(cells, -1)
    shown = grid.reshape(cells, height + MARGIN, wide)[:, MARGIN:, MARGIN : MARGIN + width]
    return np.ascontiguousarray(shown)


def _walk_shares(
    coder: Writer | Reader, places: Writer | Reader, inks: Bytes, others: Bytes, shares: Bytes
) -> tuple[Bytes, Bytes]:
    """Hand the shares along all borders to writers, or take them from readers, in the order of
    inks: of two neighbours the shares are known."""
    near = _around(inks, NEIGHBOURS)
    new, rank = _distinct(near, inks)
    bits = 1 << np.arange(len(NEIGHBOURS))
    shape = np.tensordot(bits, near != inks, axes=1).reshape(-1)
    border = np.asarray((near[:4] != inks).any(axis=0))
    near = near.reshape(len(NEIGHBOURS), -1)
    new, rank = new.reshape(near.shape), rank.reshape(near.shape)
    other, share = others.reshape(-1), shares.reshape(-1)
    known = np.zeros((len(inks), inks.shape[1] + 1, inks.shape[2] + 1), dtype=np.int64)
    for here, cell, row, column in _lines(border):
        above = _HALVES[known[cell, row, column + 1]]
        before = _HALVES[known[cell, row + 1, column]]
        context = (shape[here] * HALVES + above) * HALVES + before
        found = coder.numbers(context, share[here].astype(np.int64), signed=False)
        known[cell, row + 1, column + 1] = share[here] = found
        mixed = here[found > 0]
        first = new[:, mixed] & (near[:, mixed] == other[mixed])
        which = np.where(first, rank[:, mixed], 0).max(axis=0, initial=0).astype(np.int64)
        which = places.numbers(rank[-1, mixed].astype(np.int64), which, signed=False)
        first = new[:, mixed] & (rank[:, mixed] == which)
        other[mixed] = near[first.argmax(axis=0), mixed]
    return others, shares


def _distinct(near: Bytes, inks: Bytes) -> tuple[NDArray[np.bool_], NDArray[np.int8]]:
    """Which neighbours have an ink that is not the point's nor an earlier one's; and how many
    have until there, less one."""
    new = near != inks
    for at in range(1, len(near)):
        new[at] &= (near[at] != near[:at]).all(axis=0)
    return new, np.cumsum(new, axis=0, dtype=np.int8) - 1


def _lines(border: NDArray[np.bool_]) -> Iterator[tuple[Ints, Ints, Ints, Ints]]:
    """Points of a border, (cells, height, width), line by line of two right, one up: their index,
    cell, row and column."""
    places = np.flatnonzero(border)
    cell, row, column = np.unravel_index(places, border.shape)
    line = column + 2 * row
    order = np.argsort(line, kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(line[order])) + 1):
        yield places[own], cell[own], row[own], column[own]


def _around(points: Bytes, offsets: Sequence[tuple[int, int]]) -> Bytes:
    """What lies at each offset of each point, (offsets, cells, height, width)."""
    _, height, width = points.shape
    padded = np.pad(points, ((0, 0), (1, 1), (1, 1)), mode="edge")
    return np.stack(
        [padded[:, 1 + down :, 1 + right :][:, :height, :width] for down, right in offsets]
    )
