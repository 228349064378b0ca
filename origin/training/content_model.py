"""What every way of drawing a family with content has in common: a model, and its trial."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from origin.gallery import Gallery
from origin.training.content_cells import Cells
from origin.training.moving_colours import Doubles
from regional_gpu.generator.content_network import ContentNetwork
from regional_gpu.generator.score import ssimulacra2

Progress = Callable[[str, float], None]
Bytes = NDArray[np.uint8]
Stack = tuple[int, Bytes, Bytes]  # cells, and their two streams: `ContentNetwork`

# Of the gallery as WebP at quality 80: what a model's pictures may hold.
SHARE = 0.19
TRIAL_CELLS = 8
TRIAL_IMAGES = 2  # of each


@dataclass(frozen=True)
class Trial:
    """What one way of drawing gave on the trial cells."""

    way: str  # in words
    bytes_per_cell: float
    median: float  # SSIMULACRA2 against the gallery's own files
    worst: float

    @property
    def merit(self) -> float:
        return self.median + self.worst


@dataclass(frozen=True)
class Made:
    """A drawn family: its moving colours, (series, looks, 3), and what draws them."""

    series: Doubles
    network: ContentNetwork

    @property
    def bytes(self) -> int:
        return int(self.network.pictures.nbytes)


def trial_cells(cells: Cells) -> list[int]:
    """Some cells, evenly spread."""
    count = min(TRIAL_CELLS, len(cells))
    return sorted({round(at) for at in np.linspace(0, len(cells) - 1, count)})


def scores(
    cells: Cells, network: ContentNetwork, series: Doubles, places: Sequence[tuple[int, int]]
) -> list[float]:
    """SSIMULACRA2 of some images of cells; ``places``: each cell and its place in the network."""
    found = []
    for cell, place in places:
        members = cells.members(cell)
        for member in members[:: max(1, len(members) // TRIAL_IMAGES)][:TRIAL_IMAGES]:
            look = series[:, cells.content.look_of[member]].reshape(1, -1)
            picture = network(torch.from_numpy(look.astype(np.float32)), place)[0].numpy()
            original = cells.gallery.pixels(cells.gallery.assets[member])
            found.append(ssimulacra2(original, picture))
    return found


def network_of(
    gallery: Gallery, step: Doubles, stacks: Sequence[Stack], *, in_inks: bool
) -> ContentNetwork:
    sizes = [(count, len(first), len(second)) for count, first, second in stacks]
    network = ContentNetwork(gallery.width, gallery.height, len(step), sizes, in_inks)
    streams = [stream for _, first, second in stacks for stream in (first, second)]
    network.pictures.copy_(torch.from_numpy(np.concatenate(streams)))
    network.step.copy_(torch.from_numpy(step))
    return network
