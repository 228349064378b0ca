"""Ways in which a picture may arrive changed: harmless drift, and what must never be served."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from regional_gpu.generator.colour import WHITE, XYZ_FROM_SRGB, ciede2000, lab

Pixels = NDArray[np.uint8]

SRGB_FROM_XYZ = np.linalg.inv(XYZ_FROM_SRGB)


@dataclass
class NoiseField:
    """One field of standard normals, (height, width, 3), read at random offsets: fast noise."""

    shape: tuple[int, int, int]
    seed: int
    rng: np.random.Generator = field(init=False)
    normals: NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.normals = self.rng.standard_normal(self.shape, np.float32)

    def draw(self) -> NDArray[np.float32]:
        down, right = (int(self.rng.integers(n)) for n in self.shape[:2])
        return np.roll(self.normals, (down, right), axis=(0, 1))


def drift(pixels: Pixels, noise: NoiseField, levels: int) -> Pixels:
    """Each value off by up to `levels`, evenly: other kernels, precisions and batch sizes."""
    # Normals to even steps: the quantiles of three or five equal shares.
    edges = {1: (-0.4307, 0.4307), 2: (-0.8416, -0.2533, 0.2533, 0.8416)}[levels]
    steps = np.searchsorted(edges, noise.draw()).astype(np.int16) - levels
    return (pixels + steps).clip(0, 255).astype(np.uint8)


def noisy(pixels: Pixels, noise: NoiseField, psnr_db: float, grey: bool = False) -> Pixels:
    """Gaussian noise scaled until the clipped picture has that PSNR or just below."""
    normals = noise.draw()
    normals = normals[..., :1] if grey else normals
    target, sigma = 255**2 / 10 ** (psnr_db / 10), 255 / 10 ** (psnr_db / 20)
    for _ in range(3):
        made = (pixels + sigma * normals).round().clip(0, 255).astype(np.uint8)
        error = float(np.square(made.astype(np.float32) - pixels).mean())
        sigma *= 1.002 * (target / error) ** 0.5
    return made


def shifted(pixels: Pixels, down: int, right: int) -> Pixels:
    """Moved by whole pixels, the uncovered border filled from the edge."""
    margin = max(abs(down), abs(right))
    padded = np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    height, width = pixels.shape[:2]
    return padded[margin - down :][:height, margin - right :][:, :width]


def truncated(pixels: Pixels, share: float = 0.05) -> Iterator[tuple[str, Pixels]]:
    """The last rows missing, filled as decoders do (grey, black, white)."""
    lost = round(pixels.shape[0] * share)
    for name, level in (("grey", 128), ("black", 0), ("white", 255)):
        made = pixels.copy()
        made[-lost:] = level
        yield name, made


def recoloured(
    pixels: Pixels, region: NDArray[np.bool_], direction: NDArray[np.float64], delta_e: float
) -> Pixels | None:
    """The colours inside `region` moved along a CIELAB direction until the mean CIEDE2000 there,
    after clipping to sRGB, is at least `delta_e`; None where the gamut does not allow it."""
    original = lab(pixels[region])
    low, high = 0.0, 60.0
    if _moved(original, direction * high)[1] < delta_e:
        return None
    for _ in range(9):
        middle = (low + high) / 2
        reached = _moved(original, direction * middle)[1] >= delta_e
        low, high = (low, middle) if reached else (middle, high)
    made = pixels.copy()
    made[region] = _moved(original, direction * high)[0]
    return made


def _moved(original: NDArray[np.float64], step: NDArray[np.float64]) -> tuple[Pixels, float]:
    colours = _srgb(original + step)
    return colours, float(ciede2000(original, lab(colours)).mean())


def _srgb(colours: NDArray[np.float64]) -> Pixels:
    """CIELAB (..., 3) to 8-bit sRGB, clipped."""
    y = (colours[..., 0] + 16) / 116
    f = np.stack([y + colours[..., 1] / 500, y, y - colours[..., 2] / 200], axis=-1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * WHITE
    light = (xyz @ SRGB_FROM_XYZ.T).clip(0, 1)
    level = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray((level * 255).round().astype(np.uint8))
