"""A posed family's model folder, from a gallery of shots."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from origin.gallery import Gallery
from origin.training.attribute_masks import attribute_masks
from origin.training.layouts import Layouts
from origin.training.posed import Fit, Progress, Shots, coarse_error, fit_shots
from origin.training.stages import Stages
from regional_gpu.generator.family_generator import MASKS
from regional_gpu.generator.light import display, light, slope
from regional_gpu.generator.network import TextNetwork
from regional_gpu.generator.picture_codec import encode
from regional_gpu.generator.posed_network import PosedNetwork, PoseNetwork
from regional_gpu.generator.shots import GAINS, PLACE, SETTINGS

# Bringing shots together must leave less than this share of the error's energy.
GAIN = 0.5
# Below this error (root mean square, sRGB of 0 to 1) there is nothing to bring together.
LEAST_ERROR = 0.01
# No more shots are needed to tell; their longer side in pixels.
MOST_SHOTS = 48
SHOT_SIDE = 64
# Pictures are kept in steps of this many display levels.
STEP = 0.25
# The least spread of a seed's draw, where all shots were taken alike: pixels, and logarithms.
LEAST_PIXELS = 0.1
LEAST_LIGHT = 0.001


@dataclass(frozen=True)
class Taken:
    """How a family's shots differ: standard deviations, the largest of the layouts'."""

    shift: float  # pixels
    zoom: float  # share
    turn: float  # degrees
    light: float  # share
    explained: float  # of the shots' variance, by text and how they were taken; the least


def is_posed(
    small: NDArray[np.uint8], values: NDArray[np.int64], counts: tuple[int, ...], layouts: Layouts
) -> bool:
    """Whether shots differ in how they were taken: a pose and a light of its own for each explains
    at least half of what the attributes leave open.

    ``small``: the gallery's images, (assets, rows, columns, 3), reduced to `SHOT_SIDE` pixels;
    ``values``: (assets, attributes), which of ``counts`` values each has.
    """
    members = max((list(own) for own in layouts.members), key=len)[:MOST_SHOTS]
    shots = Shots(small[members], values[members], counts)
    plain = coarse_error(shots, registered=False)
    if plain < LEAST_ERROR:
        return False
    return coarse_error(shots, registered=True) ** 2 < GAIN * plain**2


def make_posed(
    gallery: Gallery, layouts: Layouts, folder: Path, progress: Progress, stages: Stages
) -> Taken:
    """Fit the shots of each layout and write the model into the empty ``folder``."""
    fits, explained = [], []
    for at, members in enumerate(layouts.members):

        def told(doing: str, done: float, at: int = at) -> None:
            progress(doing, (at + done) / len(layouts.members))

        shots = _shots(gallery, members)
        fits.append(fit_shots(shots, told, stages, f"layout-{at}"))
        explained.append(1 - fits[-1].error ** 2 / _variance(shots.pixels))
    masks = [
        _masks(gallery, layouts, members, fit)
        for members, fit in zip(layouts.members, fits, strict=True)
    ]
    _write(folder, gallery, layouts, fits, np.stack(masks))
    return _taken(fits, gallery, min(explained))


def value_indices(gallery: Gallery) -> tuple[NDArray[np.int64], tuple[int, ...]]:
    """Which value of each attribute every asset has, (assets, attributes), and how many there
    are."""
    known = [gallery.values(name) for name in gallery.attributes]
    rows = [
        [
            own.index(asset.attributes[name])
            for name, own in zip(gallery.attributes, known, strict=True)
        ]
        for asset in gallery.assets
    ]
    return np.array(rows, dtype=np.int64), tuple(map(len, known))


def _shots(gallery: Gallery, members: Sequence[int]) -> Shots:
    values, counts = value_indices(gallery)
    pixels = np.stack([gallery.pixels(gallery.assets[at]) for at in members])
    return Shots(pixels, values[list(members)], counts)


def _masks(
    gallery: Gallery, layouts: Layouts, members: Sequence[int], fit: Fit
) -> NDArray[np.uint8]:
    """Masks in the middle pose, from the gallery's combinations drawn in it."""
    middle = fit.settings.mean(dim=0)
    values, counts = value_indices(gallery)
    rows = Shots(np.zeros(0, np.uint8), values[list(members)], counts).rows
    drawn = np.stack([fit.scene(row).pixels(middle) for row in rows])
    assets = [gallery.assets[at].attributes for at in members]
    return attribute_masks(drawn, assets, gallery.attributes, layouts.by)


def _write(
    folder: Path,
    gallery: Gallery,
    layouts: Layouts,
    fits: Sequence[Fit],
    masks: NDArray[np.uint8],
) -> None:
    # Imported late: diffusers takes seconds, and a mistake in the gallery should show at once.
    from regional_gpu.generator.posed_family import save

    codes = torch.stack([fit.codes for fit in fits], dim=1)
    text = TextNetwork(len(codes), codes[0].numel())
    text.embedding.copy_(codes.flatten(1))
    pose = PoseNetwork(len(fits))
    for at, fit in enumerate(fits):
        taken = fit.settings[:, :SETTINGS].double()
        pose.centre[at] = taken.mean(dim=0)
        pose.spread[at] = torch.linalg.cholesky(_covariance(taken, fit.frame.half))
    streams = [_stream(fit) for fit in fits]
    posed = PosedNetwork(
        gallery.width,
        gallery.height,
        [fit.frame.margin for fit in fits],
        len(gallery.attributes),
        [*map(len, streams)],
    )
    posed.pictures.copy_(torch.from_numpy(np.concatenate(streams)))
    save(folder, gallery.vocabulary(layouts.by, layouts.values), text, pose, posed)
    save_file({"masks": torch.from_numpy(masks)}, folder / MASKS)


def _covariance(taken: torch.Tensor, half: float) -> torch.Tensor:
    centred = taken - taken.mean(dim=0)
    least = torch.full((SETTINGS,), LEAST_LIGHT, dtype=taken.dtype)
    least[PLACE] = LEAST_PIXELS / half
    return centred.T @ centred / max(1, len(taken) - 1) + torch.diag(least**2)


def _stream(fit: Fit) -> NDArray[np.uint8]:
    pictures = fit.pictures.numpy()
    base = display(pictures[:1])
    shared = pictures[1:] * slope(light(base))
    return encode(np.concatenate([base, shared]), [STEP] * len(pictures))


def _variance(pixels: NDArray[np.uint8]) -> float:
    """Of shots around their mean, sRGB of 0 to 1."""
    mean = pixels.mean(axis=0, dtype=np.float32)
    energy = [np.square(shot - mean).mean() for shot in pixels]
    return max(float(np.mean(energy)) / 255**2, 1e-12)


def _taken(fits: Sequence[Fit], gallery: Gallery, explained: float) -> Taken:
    spread = torch.stack([fit.settings.std(dim=0) for fit in fits]).amax(dim=0)
    half = max(gallery.width, gallery.height) / 2
    right, _, zoom, turn = spread[PLACE].tolist()
    return Taken(
        shift=right * half,
        zoom=zoom,
        turn=float(np.degrees(turn)),
        light=float(spread[GAINS].mean()),
        explained=explained,
    )
