"""Where each attribute shows, found from the gallery itself."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from regional_gpu.generator.colour import lab
from regional_gpu.generator.load import MASK_SIDE

# A just visible change of a product colour, and how far it must exceed every other attribute's.
LEAST_DELTA_E = 10.0
TIMES_ANY_OTHER = 2.0


def attribute_masks(
    pictures: NDArray[np.uint8],
    attributes: Sequence[Mapping[str, str]],
    names: Sequence[str],
    fixed: Sequence[str],
) -> NDArray[np.uint8]:
    """Masks of one layout, (names, 96, 96), 0 to 255; ``pictures`` is (assets, rows, columns, 3).

    An attribute shows where its main effect (the largest CIE76 distance between two of its
    values' mean pictures) exceeds ΔE 10 and twice every other attribute's. An attribute ``fixed``
    within the layout has no mask: it is all 0.
    """
    shape = pictures.shape[1:3]
    effects = np.zeros((len(names), *shape), dtype=np.float32)
    for at, name in enumerate(names):
        if name not in fixed:
            effects[at] = _main_effect(pictures, [asset[name] for asset in attributes])
    masks = np.zeros((len(names), MASK_SIDE, MASK_SIDE), dtype=np.uint8)
    for at in range(len(names)):
        others = np.delete(effects, at, axis=0).max(axis=0, initial=0.0)
        shows = (effects[at] > LEAST_DELTA_E) & (effects[at] > TIMES_ANY_OTHER * others)
        picture = Image.fromarray(shows.astype(np.uint8) * 255)
        masks[at] = np.asarray(picture.resize((MASK_SIDE, MASK_SIDE), Image.Resampling.BOX))
    return masks


def _main_effect(pictures: NDArray[np.uint8], values: Sequence[str]) -> NDArray[np.float32]:
    known = sorted(set(values))
    means = []
    for value in known:
        members = [at for at, found in enumerate(values) if found == value]
        mean = pictures[members].mean(axis=0, dtype=np.float32)
        means.append(lab(np.rint(mean).astype(np.uint8)))
    effect = np.zeros(pictures.shape[1:3], dtype=np.float32)
    for at, first in enumerate(means):
        for second in means[at + 1 :]:
            np.maximum(effect, np.linalg.norm(first - second, axis=-1), out=effect)
    return effect
