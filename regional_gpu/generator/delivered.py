"""Is a delivered file the approved picture? The file is decoded again, as a browser will."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from kvsync.errors import InputError
from regional_gpu.generator.encode import decode
from regional_gpu.generator.fingerprint import Comparison, compare

CELLS: Final = 8
"""A side of the grid by which a narrower rendition is compared."""
CELL_LEVELS: Final = 16.0
"""How far a cell's mean may be off, in levels of 8-bit sRGB."""


def compare_delivered(
    data: bytes, picture: NDArray[np.uint8], masks: NDArray[np.uint8], approved: bytes
) -> Comparison:
    """How far a file of ``picture``, (height, width, 3), is from the ``approved`` fingerprint.

    One as wide as the picture must match the fingerprint. In a narrower one, fine coloured parts
    fade by design (thin laces under halved chroma at 256 pixels: 3.6 tolerances), so it is held
    to the mean colours of the picture that did match, cell by cell. A file that cannot be
    decoded, or of another shape, is infinitely far.
    """
    try:
        shown = decode(data)
    except InputError:
        return Comparison(False, float("inf"), "not decodable")
    if shown.shape == picture.shape:
        return compare(shown, masks, approved)
    height, width, _ = picture.shape
    if shown.shape[0] != max(1, round(height * shown.shape[1] / width)):
        return Comparison(False, float("inf"), "shape")
    off = np.abs(_cell_means(shown) - _cell_means(picture)) / CELL_LEVELS
    distance = float(off.max())
    return Comparison(distance <= 1.0, distance, f"cell {int(off.argmax()) // 3}")


def _cell_means(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean colour of each of the cells, (CELLS, CELLS, 3)."""
    height, width, _ = pixels.shape
    sums = pixels.astype(np.float64)
    for axis, length in ((0, height), (1, width)):
        # Fewer pixels than cells: neighbours share one.
        starts = np.arange(CELLS) * length // CELLS
        counts = np.maximum(np.diff([*starts, length]), 1)
        shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
        sums = np.add.reduceat(sums, starts, axis=axis) / counts.reshape(shape)
    return sums
