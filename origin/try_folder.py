"""A stranger's folder: which of its files can be a family's pictures, and why others cannot."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from kvsync.errors import InputError
from origin.gallery import image_size
from regional_gpu.generator.encode import decode

SUFFIXES: Final = frozenset([".jpg", ".jpeg", ".png", ".webp", ".avif"])
FEWEST: Final = 8
"""Pictures below which nothing can be learnt and still checked on some left out."""


@dataclass(frozen=True)
class Folder:
    """Pictures of one size, by name, and what was left out with the reason."""

    path: Path
    names: tuple[PurePosixPath, ...]
    width: int
    height: int
    left_out: tuple[str, ...]


def look_into(folder: Path, told: Callable[[int, int], None]) -> Folder:
    """The pictures below ``folder`` that are whole and of its commonest size.

    ``told`` hears how many of how many files were looked at. Raises InputError when there are
    fewer than 8.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name one with pictures in it")
    found = sorted(path for path in folder.rglob("*") if _is_picture(folder, path))
    sizes: dict[Path, tuple[int, int]] = {}
    left_out = []
    for at, path in enumerate(found):
        told(at, len(found))
        try:
            sizes[path] = _whole(path)
        except InputError as error:
            left_out.append(str(error))
    if not sizes:
        raise InputError(f"{folder}: {_none_of(len(found), left_out)}")
    (size, count), *others = Counter(sizes.values()).most_common()
    for path, own in sizes.items():
        if own != size:
            left_out.append(f"{path}: {own[0]}x{own[1]}, most are {size[0]}x{size[1]}")
    if count < FEWEST:
        more = f", and {len(left_out)} that cannot be used: {left_out[0]}" if left_out else ""
        raise InputError(
            f"{folder}: {count} {'picture' if count == 1 else 'pictures'} of one size "
            f"({size[0]}x{size[1]}){more}. A family needs {FEWEST} or more, so that some can be "
            "left out to check the others"
        )
    names = (path.relative_to(folder) for path in found if sizes.get(path) == size)
    return Folder(folder, tuple(map(PurePosixPath, names)), *size, tuple(left_out))


def _is_picture(folder: Path, path: Path) -> bool:
    parts = path.relative_to(folder).parts
    hidden = any(part.startswith(".") for part in parts)
    # Lossless originals of the same names would count every picture twice.
    return path.suffix.lower() in SUFFIXES and not hidden and "masters" not in parts[:-1]


def _whole(path: Path) -> tuple[int, int]:
    """(width, height) of a file that decodes to the end."""
    size = image_size(path)
    decode(path.read_bytes(), str(path))
    return size


def _none_of(files: int, left_out: list[str]) -> str:
    if not files:
        return f"no pictures ({', '.join(sorted(SUFFIXES))}) in it"
    return f"none of {files} pictures can be used; the first: {left_out[0]}"
