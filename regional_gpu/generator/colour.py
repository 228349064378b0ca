"""How far two pictures' colours are apart, as a person sees it: CIEDE2000."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from kvsync.errors import InputError

# IEC 61966-2-1: linear sRGB to CIE XYZ, D65, 2 degree observer.
XYZ_FROM_SRGB: Final = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)
WHITE: Final = XYZ_FROM_SRGB.sum(axis=1)


def delta_e2000(
    reference: NDArray[np.uint8], image: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None
) -> float:
    """Mean CIEDE2000 of two (height, width, 3) sRGB pictures, where `mask` (height, width) holds.

    Raises InputError when shapes differ or the mask selects nothing.
    """
    if reference.shape != image.shape:
        raise InputError(f"cannot compare pictures of {reference.shape} and {image.shape} pixels")
    if mask is not None:
        reference, image = reference[mask.astype(bool)], image[mask.astype(bool)]
    if reference.size == 0:
        raise InputError("the mask selects no pixels: nothing to compare")
    return float(ciede2000(lab(reference), lab(image)).mean())


def linear(srgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """8-bit sRGB to linear light 0..1 (IEC 61966-2-1)."""
    return _LINEAR[srgb]


def lab(srgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """8-bit sRGB (..., 3) to CIELAB (..., 3), D65 (CIE 15)."""
    t = linear(srgb) @ (XYZ_FROM_SRGB / WHITE[:, None]).T
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def ciede2000(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIEDE2000 of CIELAB colours (..., 3): Sharma, Wu, Dalal 2005, equations 2 to 22."""
    (l1, a1, b1), (l2, a2, b2) = np.moveaxis(first, -1, 0), np.moveaxis(second, -1, 0)
    flattened = 1 + 0.5 * (1 - _saturation((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2))
    a1, a2 = a1 * flattened, a2 * flattened
    chroma1, chroma2 = np.hypot(a1, b1), np.hypot(a2, b2)
    hue1, hue2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360
    coloured = chroma1 * chroma2 != 0

    turn = hue2 - hue1
    turn = np.where(turn > 180, turn - 360, np.where(turn < -180, turn + 360, turn))
    turn = np.where(coloured, turn, 0)
    d_light, d_chroma = l2 - l1, chroma2 - chroma1
    d_hue = 2 * np.sqrt(chroma1 * chroma2) * np.sin(np.radians(turn / 2))

    light, chroma = (l1 + l2) / 2, (chroma1 + chroma2) / 2
    hue = _mean_hue(hue1, hue2, coloured)
    weight = (
        1
        - 0.17 * _cos(hue - 30)
        + 0.24 * _cos(2 * hue)
        + 0.32 * _cos(3 * hue + 6)
        - 0.20 * _cos(4 * hue - 63)
    )
    s_light = 1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2)
    s_chroma, s_hue = 1 + 0.045 * chroma, 1 + 0.015 * chroma * weight
    rotation = (
        -2 * _saturation(chroma) * np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    )
    light_term, chroma_term, hue_term = d_light / s_light, d_chroma / s_chroma, d_hue / s_hue
    squared = light_term**2 + chroma_term**2 + hue_term**2 + rotation * chroma_term * hue_term
    return np.asarray(np.sqrt(np.maximum(squared, 0)))


def _saturation(chroma: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(chroma**7 / (chroma**7 + 25.0**7)))


def _mean_hue(
    hue1: NDArray[np.float64], hue2: NDArray[np.float64], coloured: NDArray[np.bool_]
) -> NDArray[np.float64]:
    total = hue1 + hue2
    across = np.where(total < 360, total + 360, total - 360)
    near = np.abs(hue1 - hue2) <= 180
    return np.where(coloured, np.where(near, total, across) / 2, total)


def _cos(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.cos(np.radians(degrees)))


_LEVELS = np.arange(256) / 255
_LINEAR: Final = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4)
