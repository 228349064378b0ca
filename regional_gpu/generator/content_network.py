"""Drawing a family with content: a cell's base, and planes that colours move.

A cell is one combination of the attributes that change what is shown (a motif; a trade and a
gender). Its picture is a base plus a few planes times codes, one code a colour channel:

    picture[channel] = base[channel] + Σ step[k] × plane[k] × code[k, channel]

over components k, in display levels, as drawn edges mix in them. Codes belong to the family,
planes to a cell: a plane says how much of one of the family's moving colours lies at each pixel.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from kvsync.errors import ModelError
from regional_gpu.generator.content_inks import painted
from regional_gpu.generator.content_pictures import unpack
from regional_gpu.generator.load import MASK_SIDE
from regional_gpu.generator.network import CHANNELS

ZERO = 128
# An attribute shows where it moves colour by this many display levels, and twice every other's.
SHOWS_LEVELS = 24
TIMES_ANY_OTHER = 2
# Levels in a mask's sums are whole sixteenths, so that every machine finds the same mask.
SIXTEENTHS = 16


class ContentNetwork(nn.Module):
    """Bases and planes of all cells, kept as decoded 8-bit pictures."""

    step: Tensor
    pictures: Tensor

    def __init__(
        self,
        width: int,
        height: int,
        components: int,
        stacks: Sequence[Sequence[int]],
        in_inks: bool = False,
    ) -> None:
        """``stacks``: for each stack its number of cells, and the bytes of its two streams: bases
        and planes (`content_pictures`), or a drawing and its palettes where cells are drawn
        ``in_inks`` (`content_inks`). Raises ModelError when these are not a decoder's.
        """
        super().__init__()
        if not 0 < width <= 4096 or not 0 < height <= 4096:
            raise ModelError(f"decoder: {width}x{height} is not a picture size")
        if not stacks or components < 1 or any(len(one) != 3 or min(one) < 1 for one in stacks):
            raise ModelError("decoder: a stack without cells or pictures")
        self.width, self.height, self.components = width, height, components
        self.stacks = [list(one) for one in stacks]
        self.in_inks = in_inks
        self.register_buffer("step", torch.ones(components))
        size = sum(base + planes for _, base, planes in self.stacks)
        self.register_buffer("pictures", torch.zeros(size, dtype=torch.uint8))
        self._decoded: dict[int, tuple[Tensor, Tensor]] = {}

    @property
    def layouts(self) -> int:
        return sum(cells for cells, _, _ in self.stacks)

    @property
    def size_bytes(self) -> int:
        """Once every stack is decoded."""
        pixels = self.width * self.height * self.layouts
        return self.pictures.nbytes + pixels * (CHANNELS + self.components)

    def cell(self, layout: int) -> tuple[Tensor, Tensor]:
        """A cell's base, (height, width, 3), and planes, (components, height, width); 8-bit. Its
        stack is decoded on first use."""
        first = 0
        for at, (cells, _, _) in enumerate(self.stacks):
            if layout < first + cells:
                bases, planes = self._stack(at)
                return bases[layout - first], planes[layout - first]
            first += cells
        raise ModelError(f"decoder: has no layout {layout}")

    def forward(self, codes: Tensor, layout: int) -> Tensor:
        """(batch, components x channels) to 8-bit sRGB pixels, (batch, height, width, 3)."""
        base, planes = self.cell(layout)
        weights = codes.view(len(codes), self.components, CHANNELS) * self.step[:, None]
        shared = (planes.float() - ZERO).flatten(1)
        moved = weights.transpose(1, 2).reshape(-1, self.components) @ shared
        levels = moved.view(len(codes), CHANNELS, self.height, self.width).permute(0, 2, 3, 1)
        return (levels + (base + 0.5)).clamp_(0, 255).to(torch.uint8)

    def masks(self, layout: int, reach: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Where each attribute shows, (attributes, 96, 96), 0 to 255.

        ``reach``, (attributes, components): the largest difference of two of its values' codes.
        """
        _, planes = self.cell(layout)
        away = np.abs(planes.cpu().numpy().astype(np.int64) - ZERO)
        weights = np.rint(SIXTEENTHS * reach * self.step.cpu().numpy()).astype(np.int64)
        moved = np.tensordot(weights, away, axes=1)
        masks = np.zeros((len(reach), MASK_SIDE, MASK_SIDE), dtype=np.uint8)
        for at, own in enumerate(moved):
            others = np.delete(moved, at, axis=0).max(axis=0, initial=0)
            shows = (own > SIXTEENTHS * SHOWS_LEVELS) & (own > TIMES_ANY_OTHER * others)
            mask = Image.fromarray(shows.astype(np.uint8) * 255)
            masks[at] = np.asarray(mask.resize((MASK_SIDE, MASK_SIDE), Image.Resampling.BOX))
        return masks

    def _stack(self, at: int) -> tuple[Tensor, Tensor]:
        if at not in self._decoded:
            device = self.pictures.device
            bases, planes = self._streams(at)
            self._decoded[at] = (
                torch.from_numpy(bases.copy()).to(device),
                torch.from_numpy(planes.copy()).to(device),
            )
        return self._decoded[at]

    def _streams(self, at: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        cells, base, planes = self.stacks[at]
        start = sum(sum(one[1:]) for one in self.stacks[:at])
        content = self.pictures.cpu().numpy()[start : start + base + planes]
        first, second = content[:base], content[base:]
        if self.in_inks:
            size = (cells, self.height, self.width)
            return painted(first, second, size, self.components)
        bases = unpack(first, (cells, self.height, self.width, CHANNELS))
        shape = (cells, self.components, self.height, self.width)
        tall = unpack(second, (cells * self.components, self.height, self.width))
        return bases, tall.reshape(shape)
