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
PER_CODED_LEVEL: Final = 1.0
"""Tolerances of the fingerprint for each level (root mean square) that coding moved pixels.

Measured: at most 0.64 on Rumba, figures and icons, three formats at qualities 50 to 99, and 0.76
on signs of 96x96, which the fingerprint sees pixel by pixel."""
MOST_TOLERANCES: Final = 6.0
MOST_CODED_LEVELS: Final = 16.0
"""No quality that is offered moves a picture by more (24 dB); measured: up to 9.2."""


def compare_delivered(
    data: bytes, picture: NDArray[np.uint8], masks: NDArray[np.uint8], approved: bytes
) -> Comparison:
    """How far a file of ``picture``, (height, width, 3), is from the ``approved`` fingerprint.

    Every file is held to the mean colours of the picture that did match, cell by cell; one as
    wide as the picture also to its pixels, and to the fingerprint with as much room as coding
    made of the pixels: one tolerance, more where quality is low. In a narrower one fine
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
        coded = float(np.sqrt(np.square(shown.astype(np.float32) - picture).mean()))
        found = compare(shown, masks, approved)
        beyond = found.distance / min(max(1.0, PER_CODED_LEVEL * coded), MOST_TOLERANCES)
        ways = (distance, worst), (coded / MOST_CODED_LEVELS, "pixels"), (beyond, found.worst)
        distance, worst = max(ways)
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
