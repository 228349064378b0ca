"""The colour of each attribute value ("volt", "gum"), looked up in the pictures themselves."""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from origin.catalogue import Catalogue, CatalogueAsset

SIDE: Final = 96
"""Pixels a side at which pictures are compared; JPEG decodes to an eighth of 768 at no cost."""
SHAPE_SHARE: Final = 0.15
"""An attribute that changes more of the picture than this changes its shape, not a colour."""
VISIBLE: Final = 24.0
"""Levels (of 255) by which a value must move a pixel to count."""

Pictures = NDArray[np.float32]
Values = list[Any]


def sample_swatches(
    catalogue: Catalogue, read: Callable[[str], bytes]
) -> dict[str, dict[str, str]]:
    """``{attribute: {value: "#rrggbb"}}`` for the attributes that are colours.

    ``read`` gives the bytes of an original. An attribute that changes the shape of things (a
    view), or whose own region cannot be told, is left out, and so is a damaged picture.
    """
    small = {name: _small(read(name)) for name in catalogue.assets}
    readable = {name: picture for name, picture in small.items() if picture is not None}
    if not readable:
        return {}
    assets, pictures = [catalogue.assets[name] for name in readable], np.stack([*readable.values()])
    values = catalogue.attribute_values
    share = {name: float((_effect(pictures, assets, name) > VISIBLE).mean()) for name in values}
    shapes = [name for name in values if share[name] > SHAPE_SHARE]
    colours = [name for name in values if name not in shapes]
    chosen = _commonest(assets, shapes)
    assets, pictures = [assets[at] for at in chosen], pictures[chosen]
    effects = {name: _effect(pictures, assets, name) for name in colours}
    swatches: dict[str, dict[str, str]] = {}
    for name in colours:
        others = [effects[other] for other in colours if other != name]
        region = _own_region(effects[name], others)
        if region.any():
            means = _means(pictures, assets, name)
            swatches[name] = {str(value): _hex(mean[region]) for value, mean in means}
    return swatches


def _small(data: bytes) -> Pictures | None:
    try:
        with Image.open(BytesIO(data)) as image:
            image.draft("RGB", (SIDE, SIDE))
            small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    return np.asarray(small, np.float32)


def _means(
    pictures: Pictures, assets: Sequence[CatalogueAsset], name: str
) -> list[tuple[Any, Pictures]]:
    """The mean picture of each value."""
    of_asset = [asset.attributes.get(name) for asset in assets]
    return [
        (value, pictures[[found == value for found in of_asset]].mean(axis=0))
        for value in dict.fromkeys(of_asset)
    ]


def _effect(pictures: Pictures, assets: Sequence[CatalogueAsset], name: str) -> Pictures:
    """How far the attribute's values move each pixel: (SIDE, SIDE), in levels."""
    means = np.stack([mean for _, mean in _means(pictures, assets, name)])
    return np.asarray(np.sqrt(means.var(axis=0).sum(axis=-1)))


def _own_region(effect: Pictures, others: list[Pictures]) -> NDArray[np.bool_]:
    """Pixels that this attribute moves, and twice as far as any other does; the surest third."""
    own = effect > VISIBLE
    for other in others:
        own &= effect > 2 * other
    if not own.any():
        return own
    return np.asarray(own & (effect >= np.quantile(effect[own], 2 / 3)))


def _commonest(assets: Sequence[CatalogueAsset], shapes: Sequence[str]) -> list[int]:
    """Indices of the largest set of assets of one shape."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for at, asset in enumerate(assets):
        groups.setdefault(tuple(asset.attributes.get(name) for name in shapes), []).append(at)
    return max(groups.values(), key=len)


def _hex(pixels: Pictures) -> str:
    red, green, blue = np.median(pixels, axis=0).round().astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"
