"""A candidate's pictures as files: what it draws, how that differs, and where it matters."""

from io import BytesIO
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from kvsync.record import PromptRecipe, Recipe
from origin.console.pictures import Kind
from origin.sheet import amplified
from regional_gpu.generator.encode import decode
from regional_gpu.generator.load import Generator, Job, load
from regional_gpu.generator.score import error_map

THUMB: Final = 256
# A fault of so much is shown as the brightest colour; a picture's mean is its score's sum.
BRIGHTEST: Final = 8.0
_RAMP: Final = np.array([[12, 16, 40], [130, 32, 110], [240, 110, 50], [255, 245, 190]], float)

_loaded: dict[Path, Generator] = {}


def paint(kind: Kind, model: Path, recipe: bytes, source: bytes) -> bytes:
    """One picture as WebP: without loss, but for thumbnails and error maps.

    ``recipe`` is msgpack, ``source`` the original's bytes where it is needed. Raises InputError
    for a source that is no picture, ModelError for a model that is broken.
    """
    torch.set_num_threads(1)
    if kind == "original":
        return _saved(decode(source), lossless=True)
    if kind == "original-thumb":
        return small(decode(source))
    drawn = _generated(model, recipe)
    if kind == "generated":
        return _saved(drawn, lossless=True)
    if kind == "thumb":
        return small(drawn)
    original = decode(source)
    if kind == "difference":
        return _saved(amplified(original, drawn), lossless=True)
    return _saved(heat(error_map(original, drawn)), lossless=False)


def heat(faults: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(height, width) faults as colours from dark blue to pale yellow, (height, width, 3)."""
    at = (faults / BRIGHTEST).clip(0, 1) * (len(_RAMP) - 1)
    low = at.astype(int).clip(max=len(_RAMP) - 2)
    share = (at - low)[..., None]
    return np.asarray(_RAMP[low] * (1 - share) + _RAMP[low + 1] * share, np.uint8)


def _generated(model: Path, recipe: bytes) -> NDArray[np.uint8]:
    if model not in _loaded:
        # One family at a time is looked at.
        _loaded.clear()
        _loaded[model] = load(model)
    asked: PromptRecipe = msgspec.msgpack.decode(recipe, type=Recipe)
    (drawn,) = _loaded[model].generate([Job.of(asked)])
    return drawn


def small(pixels: NDArray[np.uint8]) -> bytes:
    """A thumbnail of (height, width, 3) pixels, as WebP."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((THUMB, THUMB), Image.Resampling.LANCZOS)
    return _saved(np.asarray(picture), lossless=False)


def _saved(pixels: NDArray[np.uint8], *, lossless: bool) -> bytes:
    out = BytesIO()
    quality, method = (0, 0) if lossless else (82, 2)
    Image.fromarray(pixels).save(out, "WEBP", lossless=lossless, quality=quality, method=method)
    return out.getvalue()
