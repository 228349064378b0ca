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
class Thresholds:
    """Cosine coefficients at or below these are taken for noise."""

    luma: Floats  # (8, 8), by frequency
    chroma: float


def coding_steps(file: bytes) -> Thresholds:
    """How coarsely a file was coded, by frequency for luma and at the lowest for chroma.

    Only JPEG says so: all 0 for any other.
    """
    with Image.open(io.BytesIO(file)) as image:
        tables: dict[int, list[int]] = getattr(image, "quantization", {})
    if not tables:
        return Thresholds(np.zeros((BLOCK, BLOCK), dtype=np.float32), 0.0)
    luma = np.array(tables[0], dtype=np.float32).reshape(BLOCK, BLOCK)
    return Thresholds(luma, float(tables[max(tables)][0]))


def mean_noise(steps: Thresholds) -> Thresholds:
    """For a layout's mean: where nothing varies, every picture carries the same noise."""
    return Thresholds(steps.luma / np.float32(3), steps.chroma * 4 / 3)


def basis_noise(steps: Thresholds) -> Thresholds:
    """For a shared picture: averaging over the gallery left little, alike in all frequencies."""
    return Thresholds(np.full_like(steps.luma, steps.luma[0, 0] / 3), steps.chroma / 2)


def deblocked(picture: Floats, least: Thresholds) -> Floats:
    """``picture``, (height, width, 3), without the small cosine coefficients of luma and chroma,
    averaged over 16 offsets of the block grid. Block means are kept."""
    if not least.luma.any() and not least.chroma:
        return picture
    height, width, _ = picture.shape
    below, right = -height % BLOCK + BLOCK, -width % BLOCK + BLOCK
    padding = ((BLOCK, below), (BLOCK, right), (0, 0))
    padded = np.pad(picture @ TO_YCC.T, padding, mode="symmetric")
    rows, columns = padded.shape[0] - BLOCK, padded.shape[1] - BLOCK
    chroma = np.full((BLOCK, BLOCK), least.chroma, dtype=np.float32)
    small = np.stack([least.luma, chroma, chroma], axis=-1)[:, None]
    total = np.zeros_like(padded)
    offsets = range(0, BLOCK, STRIDE)
    for top, left in product(offsets, offsets):
        window = padded[top : top + rows, left : left + columns]
        blocks = window.reshape(rows // BLOCK, BLOCK, columns // BLOCK, BLOCK, 3)
        frequencies = dctn(blocks, axes=(1, 3), norm="ortho", workers=2)
        means = frequencies[:, 0, :, 0].copy()
        frequencies[np.abs(frequencies) <= small] = 0
        frequencies[:, 0, :, 0] = means
        clean = idctn(frequencies, axes=(1, 3), norm="ortho", workers=2, overwrite_x=True)
        total[top : top + rows, left : left + columns] += clean.reshape(rows, columns, 3)
    # Every pixel of the picture lies inside the window at every offset.
    mean = total[BLOCK : BLOCK + height, BLOCK : BLOCK + width] / np.float32(len(offsets) ** 2)
    return np.asarray(mean @ FROM_YCC.T, dtype=np.float32)
