"""Takes a lossy gallery's coding noise out of what is learnt from it.

Coding noise sits on a grid of 8x8 blocks. Seen through the same transform at other offsets it is
a scatter of small coefficients: drop those, and average over the offsets ("cycle spinning",
Coifman and Donoho 1995, with the blocks' own cosine transform).
"""

import io
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn, idctn

Floats = NDArray[np.float32]

BLOCK = 8
STRIDE = 2
TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]],
    dtype=np.float32,
)
FROM_YCC = np.linalg.inv(TO_YCC).astype(np.float32)


@dataclass(frozen=True)
class CodingNoise:
    """How coarsely a gallery was coded: the steps of its lowest luma and chroma frequencies."""

    luma: float
    chroma: float

    def scaled(self, luma: float, chroma: float) -> tuple[float, float]:
        return luma * self.luma, chroma * self.chroma


def coding_noise(file: bytes) -> CodingNoise:
    """Read it off one of the gallery's files; nothing but JPEG tells, so 0 for all others."""
    with Image.open(io.BytesIO(file)) as image:
        tables: dict[int, list[int]] = getattr(image, "quantization", {})
    if not tables:
        return CodingNoise(0, 0)
    return CodingNoise(tables[0][0], tables[max(tables)][0])


def deblocked(picture: Floats, thresholds: tuple[float, float]) -> Floats:
    """``picture``, (height, width, 3), without cosine coefficients below the (luma, chroma)
    thresholds, averaged over 16 offsets of the block grid. Block means are kept."""
    if not any(thresholds):
        return picture
    height, width, _ = picture.shape
    below, right = -height % BLOCK + BLOCK, -width % BLOCK + BLOCK
    padding = ((BLOCK, below), (BLOCK, right), (0, 0))
    padded = np.pad(picture @ TO_YCC.T, padding, mode="symmetric")
    rows, columns = padded.shape[0] - BLOCK, padded.shape[1] - BLOCK
    least = np.array([thresholds[0], thresholds[1], thresholds[1]], dtype=np.float32)
    total = np.zeros_like(padded)
    offsets = range(0, BLOCK, STRIDE)
    for top, left in product(offsets, offsets):
        window = padded[top : top + rows, left : left + columns]
        blocks = window.reshape(rows // BLOCK, BLOCK, columns // BLOCK, BLOCK, 3)
        frequencies = dctn(blocks, axes=(1, 3), norm="ortho", workers=2)
        means = frequencies[:, 0, :, 0].copy()
        frequencies[np.abs(frequencies) <= least] = 0
        frequencies[:, 0, :, 0] = means
        clean = idctn(frequencies, axes=(1, 3), norm="ortho", workers=2, overwrite_x=True)
        total[top : top + rows, left : left + columns] += clean.reshape(rows, columns, 3)
    # Every pixel of the picture lies inside the window at every offset.
    mean = total[BLOCK : BLOCK + height, BLOCK : BLOCK + width] / np.float32(len(offsets) ** 2)
    cleaned: Floats = mean @ FROM_YCC.T
    return cleaned
