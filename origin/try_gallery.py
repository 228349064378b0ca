"""A folder as a gallery: by its manifest, by its files' names, or by what its pixels tell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from kvsync.errors import InputError
from origin.gallery import Asset, Gallery, read_gallery
from origin.try_folder import FEWEST, Folder, look_into
from origin.try_names import attributes_from_names
from origin.try_pixels import arrangements, coloured_parts

Source = Literal["manifest", "file names", "pixels"]
Attributes = Mapping[str, str]

# Coloured parts that explain this share of all that varies leave nothing to arrangements.
ONE_ARRANGEMENT: Final = 0.95
# An attribute without which the others explain the pictures as well is none (a shot's number).
WORTH_HAVING: Final = 1.1


class NotOneFamily(InputError):
    """The pictures can be used, but nothing says what they have in common."""


@dataclass(frozen=True)
class Guess:
    """A gallery to try, where its attributes come from, and what should be said of it."""

    gallery: Gallery
    source: Source
    notes: tuple[str, ...]


def gallery_of(folder: Path, deadline: float, told: Callable[[str, float], None]) -> Guess:
    """The gallery in ``folder``, of which files are opened until ``deadline`` (`look_into`).

    ``told`` hears what is being done and the share of it that is done. Raises InputError when the
    folder has no family's pictures, in words for somebody who never saw this product, and
    NotOneFamily when it has pictures that are none.
    """
    if (folder / "manifest.json").is_file():
        return Guess(read_gallery(folder), "manifest", ())
    found = look_into(folder, deadline, lambda done: told("looking at the files", done))
    thumbnails = found.thumbnails.astype(np.float32)
    notes = []
    if found.left_out:
        notes.append(f"{len(found.left_out)} files left out: {found.left_out[0]}")
    if found.not_opened:
        notes.append(f"{found.not_opened:,} more files were not opened")
    named = attributes_from_names(found.names)
    if named is not None and (useful := _useful(thumbnails, named)):
        return Guess(_gallery(found, found.names, useful), "file names", tuple(notes))
    return _by_pixels(found, thumbnails, tuple(notes))


def _by_pixels(found: Folder, thumbnails: NDArray[np.float32], notes: tuple[str, ...]) -> Guess:
    parts = coloured_parts(thumbnails)
    if parts is not None and _explained(thumbnails, parts) >= ONE_ARRANGEMENT:
        return Guess(_gallery(found, found.names, parts), "pixels", notes)
    labels = arrangements(thumbnails)
    members = np.flatnonzero(labels == int(np.bincount(labels).argmax()))
    if labels.any() and len(members) >= FEWEST:
        parts = coloured_parts(thumbnails[members])
        notes += (
            f"{len(np.unique(labels))} arrangements of things were seen; the commonest "
            f"({len(members)} pictures) is tried",
        )
    if parts is None:
        raise NotOneFamily(
            f"these {len(found.names)} pictures do not look like one family: no part "
            "of them takes a few colours again and again, and the file names do not say what they "
            "show. If they are one, name the files by it (red-white-front.jpg) or write a manifest"
        )
    names = [found.names[at] for at in members]
    return Guess(_gallery(found, names, parts), "pixels", notes)


def _gallery(
    found: Folder, names: Sequence[PurePosixPath], attributes: Sequence[Attributes]
) -> Gallery:
    assets = tuple(
        Asset(str(name), dict(shows), (found.path / name).stat().st_size)
        for name, shows in zip(names, attributes, strict=True)
    )
    return Gallery(found.path, "try", assets, found.width, found.height)


def _useful(
    thumbnails: NDArray[np.float32], attributes: list[dict[str, str]]
) -> list[dict[str, str]]:
    """The attributes without those that the others do as well without, pictures told."""
    flat = thumbnails.reshape(len(thumbnails), -1)
    names = list(attributes[0])
    for name in sorted(names, key=lambda name: -len({asset[name] for asset in attributes})):
        others = [other for other in names if other != name]
        if _unexplained(flat, attributes, others) <= WORTH_HAVING * _unexplained(
            flat, attributes, names
        ):
            names = others
    if not names:
        return []
    return [{name: asset[name] for name in names} for asset in attributes]


def _explained(thumbnails: NDArray[np.float32], attributes: list[dict[str, str]]) -> float:
    """The share of what varies that additive effects of all attributes explain."""
    flat = thumbnails.reshape(len(thumbnails), -1)
    whole = _unexplained(flat, attributes, [])
    return 1 - _unexplained(flat, attributes, list(attributes[0])) / whole if whole else 1.0


def _unexplained(
    flat: NDArray[np.float32], attributes: list[dict[str, str]], names: Sequence[str]
) -> float:
    """Squared error of additive effects per degree of freedom that they leave."""
    columns = [np.ones(len(flat), np.float32)]
    for name in names:
        values = [asset[name] for asset in attributes]
        columns += [np.equal(values, value).astype(np.float32) for value in sorted(set(values))]
    design = np.stack(columns, axis=1)
    left = flat - design @ (np.linalg.pinv(design, rcond=1e-4) @ flat)
    free = len(flat) - int(np.linalg.matrix_rank(design))
    return float(np.square(left).sum()) / max(free, 1)
