"""The way of drawing in inks: for families whose pictures are flat colours with smooth edges."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from origin.training.colour_table import Points
from origin.training.content_cells import Cells
from origin.training.content_model import (
    SHARE,
    Made,
    Progress,
    Stack,
    Trial,
    network_of,
    scores,
    trial_cells,
)
from origin.training.ink_looks import CellInks, in_all_looks
from origin.training.inks import Drawn, draw, find_inks
from origin.training.measure import additive_span
from origin.training.moving_colours import Doubles, principal_series
from regional_gpu.generator.content_inks import pack_drawing, pack_palettes
from regional_gpu.generator.content_network import ZERO
from regional_gpu.generator.ink_codec import Drawing

# Parts into which an edge's mix of two inks is divided: the finest whose bytes fit is kept.
LEVELS = (16, 8, 4)
# Cells drawn together: more cost fewer bytes each, and more time until the first is shown.
STACK = 16
MOST_SERIES = 12
PLACES = 32
REACH = 127


@dataclass(frozen=True)
class _Cell:
    looks: tuple[int, ...]
    picture: Doubles  # (height, width, looks x 3)
    inks: Doubles  # (inks, looks x 3)


def draw_in_inks(cells: Cells, webp_bytes: int, progress: Progress) -> tuple[Made, Trial] | None:
    """The family in inks, and what that gives; None where a cell has too many colours for it or
    the whole too many bytes."""
    found = []
    for at in range(len(cells)):
        progress(f"looking for inks, cell {at + 1} of {len(cells)}", 0.2 * at / len(cells))
        cell = _in_inks(cells, at)
        if cell is None:
            return None
        found.append(cell)
    for levels in LEVELS:
        made = _made(cells, found, levels, progress)
        if made.bytes <= SHARE * webp_bytes:
            return made, _tried(cells, made, levels)
    return None


def _in_inks(cells: Cells, at: int) -> _Cell | None:
    points = cells.points(at)
    picture = points.flat().reshape(cells.gallery.height, cells.gallery.width, -1)
    inks = find_inks(picture)
    return None if inks is None else _Cell(points.looks, picture, inks)


def _made(cells: Cells, found: Sequence[_Cell], levels: int, progress: Progress) -> Made:
    drawn = []
    for at, cell in enumerate(found):
        progress(f"drawing cell {at + 1} of {len(found)}", 0.2 + 0.5 * at / len(found))
        drawn.append(draw(cell.picture, cell.inks, levels))
    looks = len(cells.content.looks)
    known = [_cell_inks(cell, own) for cell, own in zip(found, drawn, strict=True)]
    tables = in_all_looks(known, looks)
    progress("learning the colours that move", 0.75)
    every = np.concatenate(tables)
    series = principal_series(every, additive_span(cells.content.looks), MOST_SERIES)
    bases = every.mean(axis=1)
    lines = series.reshape(len(series), -1)
    planes = (every - bases[:, None]).reshape(len(every), -1) @ np.linalg.pinv(lines)
    step = np.maximum(np.abs(planes).max(axis=0) / REACH, 1e-6)
    palette = np.rint(np.concatenate([bases, planes / step + ZERO], axis=1)).clip(0, 255)
    palettes = np.split(palette.astype(np.uint8), np.cumsum([len(one) for one in tables])[:-1])
    stacks: list[Stack] = []
    for first in range(0, len(drawn), STACK):
        progress("writing the drawings", 0.8 + 0.2 * first / len(drawn))
        own = drawn[first : first + STACK]
        streams = pack_drawing(_stacked(own, levels)), pack_palettes(palettes[first:][:STACK])
        stacks.append((len(own), *streams))
    return Made(series, network_of(cells.gallery, step, stacks, in_inks=True))


def _stacked(drawn: Sequence[Drawn], levels: int) -> Drawing:
    return Drawing(
        np.stack([one.inks for one in drawn]),
        np.stack([one.others for one in drawn]),
        np.stack([one.shares for one in drawn]),
        levels,
    )


def _cell_inks(cell: _Cell, drawn: Drawn) -> CellInks:
    places = [
        np.asarray(
            Image.fromarray((drawn.inks == ink).astype(np.uint8) * 255).resize(
                (PLACES, PLACES), Image.Resampling.BOX
            ),
            dtype=np.float64,
        ).reshape(-1)
        for ink in range(len(cell.inks))
    ]
    colours = cell.inks.reshape(len(cell.inks), len(cell.looks), 3)
    return CellInks(Points(cell.looks, colours), np.stack(places))


def _tried(cells: Cells, made: Made, levels: int) -> Trial:
    found = scores(cells, made.network, made.series, [(at, at) for at in trial_cells(cells)])
    return Trial(
        f"in inks, {len(made.series)} moving colours, edges in {levels} parts",
        made.bytes / len(cells),
        float(np.median(found)),
        min(found),
    )
