"""A small studio: shots of one painted thing, each taken a little differently."""

import json
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 96
FINER = 4
COATS = {"red": (0.6, 0.05, 0.06), "teal": (0.02, 0.25, 0.3), "sand": (0.6, 0.5, 0.3)}
TRIMS = {"black": (0.02, 0.02, 0.02), "cream": (0.8, 0.75, 0.6), "plum": (0.2, 0.03, 0.2)}


@dataclass(frozen=True)
class Taken:
    """How a shot was taken: pixels, shares and radians; a light gain per channel and its slope."""

    right: float = 0.0
    down: float = 0.0
    zoom: float = 1.0
    turn: float = 0.0
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    slope: float = 0.0

    @classmethod
    def drawn(cls, seed: int) -> "Taken":
        noise = np.random.default_rng(seed).standard_normal(8)
        gain = np.exp(0.05 * noise[4:7])
        return cls(
            2 * noise[0],
            2 * noise[1],
            1 + 0.02 * noise[2],
            0.02 * noise[3],
            (float(gain[0]), float(gain[1]), float(gain[2])),
            0.05 * float(noise[7]),
        )


def shot(coat: str, trim: str, taken: Taken) -> NDArray[np.uint8]:
    """8-bit sRGB of the thing under that light, (96, 96, 3)."""
    middles = (np.arange(SIDE * FINER) + 0.5) / FINER - SIDE / 2
    y, x = np.meshgrid(middles, middles, indexing="ij")
    cosine, sine = taken.zoom * np.cos(taken.turn), taken.zoom * np.sin(taken.turn)
    seen = _scene(
        cosine * x - sine * y + taken.right, sine * x + cosine * y + taken.down, coat, trim
    )
    light = np.exp(taken.slope * x / (SIDE / 2))[..., None] * np.array(taken.gain)
    small = (seen * light).reshape(SIDE, FINER, SIDE, FINER, 3).mean(axis=(1, 3)).clip(0, 1)
    levels = np.where(small <= 0.0031308, 12.92 * small, 1.055 * small ** (1 / 2.4) - 0.055)
    rounded: NDArray[np.uint8] = np.rint(255 * levels).astype(np.uint8)
    return rounded


def _scene(
    x: NDArray[np.float64], y: NDArray[np.float64], coat: str, trim: str
) -> NDArray[np.float64]:
    light = 0.5 + 0.15 * np.sin(x / 4) * np.cos(y / 5)
    picture = np.stack([light + 0.1, light + 0.1, light + 0.08], axis=-1)
    body = (x / 30) ** 2 + (y / 22) ** 2 < 1
    weave = 0.8 + 0.2 * np.sin(x) * np.sin(y)
    picture[body] = (weave[..., None] * np.array(COATS[coat]))[body]
    band = body & (np.abs(y - 6 + x / 8) < 5)
    picture[band] = (weave[..., None] * np.array(TRIMS[trim]))[band]
    picture[(np.abs(x - 12) < 4) & (np.abs(y + 8) < 4)] = 0.03
    return picture


def write_gallery(folder: Path, *, still: bool = False) -> Path:
    """A gallery of every coat and trim, each a shot of its own, or all taken alike where the camera
    stands ``still``: PNG files and their manifest."""
    folder.mkdir(parents=True)
    assets = []
    for seed, (coat, trim) in enumerate(product(COATS, TRIMS)):
        file = f"{coat}-{trim}.png"
        taken = Taken() if still else Taken.drawn(seed)
        Image.fromarray(shot(coat, trim, taken)).save(folder / file)
        size = (folder / file).stat().st_size
        assets.append({"file": file, "attributes": {"coat": coat, "trim": trim}, "bytes": size})
    (folder / "manifest.json").write_text(json.dumps({"family": "studio", "assets": assets}))
    return folder
