"""Shared pictures as 8-bit planes that image codecs can pack."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# What one 8-bit plane reaches around 128.
REACH = 127
LEAST_SCALE = 1e-6


@dataclass(frozen=True)
class Plane:
    """(pixels - 128) * scale is one part of a picture."""

    pixels: NDArray[np.uint8]  # (height, width, 3)
    scale: float


def quantised(picture: NDArray[np.float32], step: float) -> list[Plane]:
    """``picture``, (height, width, 3), to the nearest ``step``: in one plane where its range
    allows, else a coarse plane and a second one for what that leaves."""
    largest = float(np.abs(picture).max())
    coarse = max(largest / REACH, LEAST_SCALE)
    if coarse <= step:
        return [_plane(picture, step)]
    # A whole multiple of the step: a flat part stays flat in the second plane.
    coarse = step * np.ceil(coarse / step)
    first = _plane(picture, coarse)
    left = picture - (first.pixels.astype(np.float32) - 128) * np.float32(coarse)
    return [first, _plane(left, step)]


def _plane(picture: NDArray[np.float32], step: float) -> Plane:
    pixels = np.rint(picture / step + 128).clip(0, 255).astype(np.uint8)
    return Plane(pixels, float(step))
