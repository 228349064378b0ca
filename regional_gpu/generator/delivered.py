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
CODED_TOLERANCES: Final = 2.0
"""How far from the fingerprint a coded picture may be: the pixels had been within 1 before.

Measured on figures and icons of 256x256: 1.3 at default qualities (WebP, which halves the chroma
of thin lines), 2.0 at quality 50."""


def compare_delivered(
    data: bytes, picture: NDArray[np.uint8], masks: NDArray[np.uint8], approved: bytes
) -> Comparison:
    """How far a file of ``picture``, (height, width, 3), is from the ``approved`` fingerprint.

    Every file is held to the mean colours of the picture that did match, cell by cell; one as
    wide as the picture also to the fingerprint, with room for coding. In a narrower one fine
    coloured parts fade by design (thin laces under halved chroma at 256 pixels: 3.6 tolerances).
    A file that cannot be decoded, or is of another shape, is infinitely far.
    """
    try:
        shown = decode(data)
    except InputError:
        return Comparison(False, float("inf"), "not decodable")
    height, width, _ = picture.shape
    if shown.shape[0] != max(1, round(height * shown.shape[1] / width)):
        return Comparison(False, float("inf"), "shape")
    off = np.abs(_cell_means(shown) - _cell_means(picture)) / CELL_LEVELS
    distance, worst = float(off.max()), f"cell {int(off.argmax()) // 3}"
    if shown.shape == picture.shape:
        found = compare(shown, masks, approved)
        if found.distance / CODED_TOLERANCES > distance:
            distance, worst = found.distance / CODED_TOLERANCES, found.worst
    return Comparison(distance <= 1.0, distance, worst)


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
