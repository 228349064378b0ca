"""One way to write a family's sums: which picture is the base, and what one unit of code adds.

Adding to all codes of an attribute and taking as much of its pictures off the base changes no
sum. In light, the base is best the family in its darkest colours, and every code positive: then
nothing cancels in the dark, where errors show most.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from origin.training.cell import Fitted
from origin.training.transport import Codes, Floats
from regional_gpu.generator.light import display

LEAST_SCALE = 1e-6


def settled(
    codes: Codes, cells: Sequence[Fitted], attribute_of: NDArray[np.intp], linear: bool
) -> tuple[Codes, list[Fitted]]:
    """The same sums, so written.

    An attribute's only picture in linear light gets codes from 0 to 2. Others keep a mean of 0,
    with channels scaled to carry alike, so that little of a picture is colour.
    """
    values = codes.values.copy()
    found = [replace(cell, base=cell.base.copy(), shared=cell.shared.copy()) for cell in cells]
    for at, owner in enumerate(codes.owners):
        own = attribute_of == owner
        pictures = [cell.shared[at] for cell in found]
        total = sum((picture.sum(axis=(0, 1)) for picture in pictures), np.zeros(3))
        sign = np.where(total < 0, -1.0, 1.0)
        offset, scale = np.zeros(3), _alike(pictures)
        if linear and codes.owners.count(owner) == 1:
            directed = values[own, at] * sign
            offset = directed.min(axis=0) * sign
            scale = np.maximum(np.ptp(directed, axis=0) / 2, LEAST_SCALE)
        values[own, at] = (values[own, at] - offset) / (scale * sign)
        for cell in found:
            cell.base[:] += offset * cell.shared[at]
            cell.shared[at] *= scale * sign
    return Codes(values, codes.owners), found


def shown(cell: Fitted, linear: bool) -> Floats:
    """A cell's pictures in display levels, (1 + components, height, width, 3): its base, then what
    each shared picture changes when one unit of it is added to those before it."""
    sums = np.cumsum(np.concatenate([cell.base[None], cell.shared]), axis=0)
    levels = display(sums) if linear else sums
    return np.concatenate([levels[:1], np.diff(levels, axis=0)]).astype(np.float32)


def _alike(pictures: Sequence[Floats]) -> NDArray[np.float64]:
    """By how much to divide codes, by channel, for pictures of one size in all channels."""
    energy = sum((np.square(picture).sum(axis=(0, 1)) for picture in pictures), np.zeros(3))
    size = np.sqrt(np.maximum(energy, LEAST_SCALE))
    return np.asarray(size.mean() / size)
