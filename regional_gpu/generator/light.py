"""Between display levels (sRGB, 0 to 255) and linear light (0 to 1): IEC 61966-2-1, as floats.

Below black the line of the dark goes on, so that sums and differences come back as they were.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

KNEE: Final = 0.0031308
SLOPE: Final = 12.92
EXPONENT: Final = 2.4


def light(levels: Floats) -> Floats:
    """Linear light of display levels."""
    share = levels / np.float32(255)
    knee = np.float32(KNEE * SLOPE)
    bright = ((np.maximum(share, knee) + 0.055) / 1.055) ** np.float32(EXPONENT)
    return np.where(share <= knee, share / np.float32(SLOPE), bright).astype(np.float32)


def display(linear: Floats) -> Floats:
    """Display levels of linear light."""
    root = np.maximum(linear, KNEE) ** np.float32(1 / EXPONENT)
    share = np.where(linear <= KNEE, linear * SLOPE, 1.055 * root - 0.055)
    return np.asarray(255 * share, dtype=np.float32)


def slope(linear: Floats) -> Floats:
    """How many display levels a unit of light is worth: the derivative of `display`."""
    bright = np.maximum(linear, KNEE) ** np.float32(1 / EXPONENT - 1)
    share = np.where(linear <= KNEE, SLOPE, 1.055 / EXPONENT * bright)
    return np.asarray(255 * share, dtype=np.float32)
