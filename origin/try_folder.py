"""A stranger's folder: which of its files can be a family's pictures, and why others cannot."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kvsync.errors import InputError
from origin.gallery import image_size
from regional_gpu.generator.encode import decode

SUFFIXES: Final = frozenset([".jpg", ".jpeg", ".png", ".webp", ".avif"])
FEWEST: Final = 8
"""Pictures below which nothing can be learnt and still checked on some left out."""


MOST_FILES: Final = 1_000
"""A family shows itself in so many; more are not opened."""
THUMBNAIL: Final = 64


@dataclass(frozen=True)
class Folder:
    """Pictures of one size, by name, and what was left out with the reason.

    ``thumbnails``: the same pictures, (pictures, 64, 64, 3) 8-bit sRGB; ``not_opened``: how many
    more files there are.
    """

    path: Path
    names: tuple[PurePosixPath, ...]
    width: int
    height: int
    thumbnails: NDArray[np.uint8]
    left_out: tuple[str, ...]
    not_opened: int


@dataclass(frozen=True)
class _Picture:
    path: Path
    size: tuple[int, int]
    thumbnail: NDArray[np.uint8]


def look_into(folder: Path, deadline: float, told: Callable[[float], None]) -> Folder:
    """The pictures below ``folder`` that are whole and of its commonest size.

    At most a thousand, drawn by a fixed seed, are opened, and none after ``deadline`` (monotonic
    clock, seconds) but the fewest that can be a family. ``told`` hears the share that was looked
    at. Raises InputError when there are fewer than 8.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name one with pictures in it")
    found = sorted(path for path in folder.rglob("*") if _is_picture(folder, path))
    drawn = np.random.default_rng(0).permutation(len(found))[:MOST_FILES]
    opened: list[_Picture] = []
    left_out = []
    for done, at in enumerate(drawn):
        if len(opened) >= FEWEST and time.monotonic() > deadline:
            drawn = drawn[:done]
            break
        told(done / len(drawn))
        try:
            opened.append(_open(found[at]))
        except InputError as error:
            left_out.append(str(error))
    if not opened:
        raise InputError(f"{folder}: {_none_of(len(found), left_out)}")
    opened.sort(key=lambda one: one.path)
    size, _ = Counter(one.size for one in opened).most_common(1)[0]
    for one in opened:
        if one.size != size:
            own = "x".join(map(str, one.size))
            left_out.append(f"{one.path}: {own}, most are {size[0]}x{size[1]}")
    alike = [one for one in opened if one.size == size]
    if len(alike) < FEWEST:
        more = f", and {len(left_out)} that cannot be used: {left_out[0]}" if left_out else ""
        raise InputError(
            f"{folder}: {len(alike)} {'picture' if len(alike) == 1 else 'pictures'} of one size "
            f"({size[0]}x{size[1]}){more}. A family needs {FEWEST} or more, so that some can be "
            "left out to check the others"
        )
    names = tuple(PurePosixPath(one.path.relative_to(folder)) for one in alike)
    thumbnails = np.stack([one.thumbnail for one in alike])
    return Folder(
        folder, names, *size, thumbnails, tuple(sorted(left_out)), len(found) - len(drawn)
    )


def _is_picture(folder: Path, path: Path) -> bool:
    parts = path.relative_to(folder).parts
    hidden = any(part.startswith(".") for part in parts)
    # Lossless originals of the same names would count every picture twice.
    return path.suffix.lower() in SUFFIXES and not hidden and "masters" not in parts[:-1]


def _open(path: Path) -> _Picture:
    """A file that decodes to the end. Raises InputError."""
    size = image_size(path)
    pixels = decode(path.read_bytes(), str(path))
    small = Image.fromarray(pixels).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return _Picture(path, size, np.asarray(small))


def _none_of(files: int, left_out: list[str]) -> str:
    if not files:
        return f"no pictures ({', '.join(sorted(SUFFIXES))}) in it"
    return f"none of {files} pictures can be used; the first: {left_out[0]}"
