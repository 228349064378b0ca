"""Where each attribute shows: found from a gallery itself, at full size."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from origin.gallery import Asset, Gallery
from origin.training.layouts import Layouts, find_layouts
from regional_gpu.generator.colour import lab

LEAST_DELTA_E = 10.0
TIMES_ANY_OTHER = 2.0
THUMBNAIL = 32

Picture = NDArray[np.float64]
Region = NDArray[np.bool_]


class Regions:
    """The regions of a gallery's attributes, layout by layout.

    Where an attribute moves things about (a view), a mean over its values shows nothing: the
    others' regions are found for each of its values, and it has none itself.
    """

    def __init__(self, gallery: Gallery) -> None:
        thumbnails = np.stack([_thumbnail(gallery.pixels(asset)) for asset in gallery.assets])
        attributes = [asset.attributes for asset in gallery.assets]
        layouts = find_layouts(thumbnails, attributes, seed=0)
        self.layout_by = layouts.by
        self._by_layout = dict(_regions_by_layout(gallery, layouts))

    def of(self, attributes: Mapping[str, str]) -> dict[str, Region]:
        """Attribute to its region, (height, width), where it has one."""
        return self._by_layout[tuple(attributes[name] for name in self.layout_by)]


def regions(value_means: Mapping[str, Sequence[Picture]]) -> dict[str, Region]:
    """Pixels where an attribute's main effect exceeds ΔE 10 and twice every other attribute's.

    ``value_means`` has for each attribute the mean picture of each of its values, (height, width,
    3) sRGB levels; the main effect is the largest CIE76 distance of two of them.
    """
    effects = {name: _main_effect(means) for name, means in value_means.items()}
    found = {}
    for name, effect in effects.items():
        shows = effect > LEAST_DELTA_E
        for other, its_effect in effects.items():
            if other != name:
                shows &= effect > TIMES_ANY_OTHER * its_effect
        if shows.any():
            found[name] = shows
    return found


def _main_effect(means: Sequence[Picture]) -> NDArray[np.float64]:
    levels = np.stack([np.rint(mean).astype(np.uint8) for mean in means])
    # Two levels are far below ΔE 10, and most of a picture is background.
    moved = np.ptp(levels, axis=0).max(axis=-1) > 2
    colours = lab(levels[:, moved])
    found = np.zeros(colours.shape[1])
    for first, second in combinations(colours, 2):
        np.maximum(found, np.linalg.norm(first - second, axis=-1), out=found)
    effect = np.zeros(levels.shape[1:3])
    effect[moved] = found
    return effect


def _regions_by_layout(
    gallery: Gallery, layouts: Layouts
) -> Iterator[tuple[tuple[str, ...], dict[str, Region]]]:
    free = [name for name in gallery.attributes if name not in layouts.by]
    for values, members in zip(layouts.values, layouts.members, strict=True):
        yield values, regions(_value_means(gallery, [gallery.assets[at] for at in members], free))


def _value_means(
    gallery: Gallery, assets: Sequence[Asset], names: Sequence[str]
) -> dict[str, list[Picture]]:
    """One pass over the pictures, so that a gallery of any length fits into memory."""
    sums: dict[tuple[str, str], NDArray[np.uint32]] = {}
    counts: dict[tuple[str, str], int] = {}
    for asset in assets:
        pixels = gallery.pixels(asset)
        for name in names:
            group = name, asset.attributes[name]
            if group not in sums:
                sums[group], counts[group] = np.zeros(pixels.shape, np.uint32), 0
            sums[group] += pixels
            counts[group] += 1
    return {
        name: [total / counts[group] for group, total in sums.items() if group[0] == name]
        for name in names
    }


def _thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    reduced = Image.fromarray(pixels).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return np.asarray(reduced, np.float32).reshape(-1)
