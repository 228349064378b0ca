"""A stack of cells drawn in inks: each ink's base colour and share of the moving colours.

A palette holds, for every ink of every cell, three levels of base and one of each plane, as
`content_network` uses them. Painting is in whole numbers: every machine gets the same pictures.
"""

import zlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kvsync.errors import ModelError
from regional_gpu.generator import ink_codec
from regional_gpu.generator.ink_codec import MOST_INKS, Drawing

Bytes = NDArray[np.uint8]

BASE: Final = 3
MOST_COMPONENTS: Final = 64


def pack_palettes(palettes: Sequence[Bytes]) -> Bytes:
    """The stream, (n,), of each cell's inks, (inks, 3 + components)."""
    counts = np.array([len(one) for one in palettes], dtype=np.uint8)
    # By column: most inks have a plane or two.
    levels = np.concatenate(palettes).T.tobytes()
    return np.frombuffer(zlib.compress(counts.tobytes() + levels, 9), np.uint8).copy()


def unpack_palettes(stream: Bytes, cells: int, components: int) -> list[Bytes]:
    """The inks of each cell, (inks, 3 + components). Raises ModelError when it is not that."""
    width = BASE + components
    most = cells * (1 + MOST_INKS * width)
    try:
        content = np.frombuffer(zlib.decompressobj().decompress(stream.tobytes(), most), np.uint8)
    except zlib.error as error:
        raise ModelError(f"decoder: no palettes ({error}); fetch the model again") from None
    counts = content[:cells].astype(np.int64)
    total = int(counts.sum())
    if len(counts) < cells or not counts.all() or len(content) != cells + total * width:
        raise ModelError("decoder: palettes of other cells; fetch the model again")
    levels = content[cells:].reshape(width, total).T
    return np.split(levels, np.cumsum(counts)[:-1])


def pack_drawing(drawing: Drawing) -> Bytes:
    """The stream, (n,), of a stack's drawing. Raises InputError as `ink_codec.encode` does."""
    return np.frombuffer(ink_codec.encode(drawing), np.uint8).copy()


def painted(
    stream: Bytes, inks: Bytes, shape: tuple[int, int, int], components: int
) -> tuple[Bytes, Bytes]:
    """The bases, (cells, height, width, 3), and planes, (cells, components, height, width), of a
    stack of this shape. Raises ModelError when the streams are not its.
    """
    drawing = ink_codec.decode(stream.tobytes())
    if drawing.inks.shape != shape:
        raise ModelError(f"decoder: a drawing of {drawing.inks.shape}, not {shape}")
    palettes = unpack_palettes(inks, shape[0], components)
    bases = np.empty((*shape, BASE), dtype=np.uint8)
    planes = np.empty((shape[0], components, *shape[1:]), dtype=np.uint8)
    for at, palette in enumerate(palettes):
        if max(drawing.inks[at].max(), drawing.others[at].max()) >= len(palette):
            raise ModelError("decoder: a drawing in more inks than it has; fetch the model again")
        levels = mixed(drawing, at, palette)
        bases[at] = levels[..., :BASE]
        planes[at] = levels[..., BASE:].transpose(2, 0, 1)
    return bases, planes


def mixed(drawing: Drawing, cell: int, palette: Bytes) -> Bytes:
    """A cell's levels, (height, width, columns of its palette), rounded half up."""
    levels = palette[drawing.inks[cell]]
    at = np.nonzero(drawing.shares[cell])
    share = drawing.shares[cell][at].astype(np.int64)[:, None]
    own = palette[drawing.inks[cell][at]] * (drawing.levels - share)
    other = palette[drawing.others[cell][at]] * share
    levels[at] = (2 * (own + other) + drawing.levels) // (2 * drawing.levels)
    return np.asarray(levels)
