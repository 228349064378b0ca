"""A family's cells, read from its gallery one at a time."""

import numpy as np

from origin.gallery import Gallery
from origin.training.colour_table import Points, Table, kinds
from origin.training.measure import Content
from origin.training.moving_colours import Doubles

# Kinds of points by which a cell tells of others.
KINDS = 700
MOVES = 2


class Cells:
    """A gallery's cells, read one at a time."""

    def __init__(self, gallery: Gallery, content: Content, seed: int) -> None:
        self.gallery, self.content = gallery, content
        self.rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self.content.cells)

    def members(self, cell: int) -> list[int]:
        return [at for at, own in enumerate(self.content.cell_of) if own == cell]

    def points(self, cell: int) -> Points:
        members = self.members(cell)
        pixels = [self.gallery.pixels(self.gallery.assets[at]).reshape(-1, 3) for at in members]
        looks = [self.content.look_of[at] for at in members]
        return Points.of(np.stack(pixels).astype(np.float64), looks)

    def sample(self, cell: int) -> Points:
        """One point of each kind of those that move, or of any where only one look is known."""
        points = self.points(cell)
        moves = np.ptp(points.colours, axis=1).max(axis=-1) > MOVES
        colours = points.colours[moves] if len(points.looks) > 1 else points.colours
        first, _ = kinds(colours)
        some = self.rng.permutation(first)[:KINDS]
        return Points(points.looks, colours[some])

    def table(self, cell: int, table: Table) -> Doubles:
        """The cell's points' colours in all looks, (points, looks, 3)."""
        points = self.points(cell)
        moves = np.ptp(points.colours, axis=1).max(axis=-1) > MOVES
        if len(points.looks) == 1:
            moves[:] = True
        looks = len(self.content.looks)
        every = np.repeat(points.colours.mean(axis=1)[:, None], looks, axis=1)
        every[:, list(points.looks)] = points.colours
        colours = points.colours[moves]
        if len(colours) and len(points.looks) < looks:
            first, of = kinds(colours)
            known = Points(points.looks, colours[first])
            change = table.filled(known) - np.mean(known.colours, axis=1, keepdims=True)
            every[moves] = change[of] + colours.mean(axis=1, keepdims=True)
            every[:, list(points.looks)] = points.colours
        return every
