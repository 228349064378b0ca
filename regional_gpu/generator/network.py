"""The family generator's arithmetic: prompt and seed to codes, codes to pixels.

A family's pictures fall into *layouts* (for a shoe: its views). Within one layout a picture is a
base plus a few shared pictures times codes, one code a channel: what the text says, moved by the
seed along the pictures that text leaves open. The sum is made in linear light, as light adds up,
or in display levels where a family follows those better.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from kvsync.errors import ModelError
from regional_gpu.generator.light import display, light
from regional_gpu.generator.picture_codec import decode

TILE = 8
CHANNELS = 3
# Display levels a unit of code that leave an 8-bit picture as it is.
STILL = 0.02
# What sums stand for, as 8-bit levels: a fifth of a level a step where light is darkest.
LAST = (1 << 14) - 1
_steps = np.linspace(0, 1, LAST + 1, dtype=np.float32)
# One more at the end: in half precision white rounds up to LAST + 1.
TABLES = {
    linear: torch.from_numpy(np.pad(np.rint(levels).astype(np.uint8), (0, 1), mode="edge"))
    for linear, levels in ((True, display(_steps)), (False, 255 * _steps))
}


class TextNetwork(nn.Module):
    """Embeds one token per attribute value; what a prompt says is their sum, each by its share."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.zeros(tokens, width), requires_grad=False)

    def forward(self, weights: Tensor) -> Tensor:
        """(batch, tokens), how much of each, to codes, (batch, components x channels)."""
        return weights @ self.embedding


class CoefficientNetwork(nn.Module):
    """The flow's velocity in one step: from normals to the codes of a picture."""

    def __init__(self, layouts: int, components: int) -> None:
        super().__init__()
        # How far a seed moves each picture, in all channels alike.
        self.spread = nn.Parameter(torch.zeros(layouts, components), requires_grad=False)

    @property
    def components(self) -> int:
        return self.spread.shape[1]

    def forward(self, noise: Tensor, text: Tensor, layout: int) -> Tensor:
        """noise and text (batch, components x channels) to velocity of that shape."""
        return noise - (text + noise * by_channel(self.spread[layout]))


def by_channel(values: Tensor) -> Tensor:
    """(..., components) to (..., components x channels): the same in each channel."""
    return values.repeat_interleave(CHANNELS, dim=-1)


class BasisNetwork(nn.Module):
    """Base and shared pictures of each layout; tiles that never change hold the base only."""

    pictures: Tensor

    def __init__(
        self, width: int, height: int, components: int, linear: bool, streams: Sequence[int]
    ) -> None:
        """``streams``: for each layout the bytes of its pictures' stream (`picture_codec`), in
        display levels: its base, then what each component changes when one unit of it is added
        to those before it.

        ``linear`` says that light adds up, not levels. Raises ModelError when the sizes are not
        such a decoder's.
        """
        super().__init__()
        if not 0 < width <= 4096 or not 0 < height <= 4096:
            raise ModelError(f"decoder: {width}x{height} is not a picture size")
        if not streams or min(streams) <= 0 or components < 0:
            raise ModelError("decoder: a layout has no pictures")
        self.width, self.height, self.components = width, height, components
        self.linear, self.streams = linear, list(streams)
        self.register_buffer("pictures", torch.zeros(sum(streams), dtype=torch.uint8))

    @property
    def layouts(self) -> int:
        return len(self.streams)

    @cached_property
    def layers(self) -> "list[Layer]":
        """The decoded layouts, on the device of the model; decoded on first use."""
        content = self.pictures.cpu().numpy()
        ends = np.cumsum(self.streams)
        parts = [content[end - size : end] for end, size in zip(ends, self.streams, strict=True)]
        return [self._layer(part) for part in parts]

    def forward(self, codes: Tensor, layout: int) -> Tensor:
        """(batch, components x channels) to 8-bit sRGB pixels, (batch, height, width, 3)."""
        return self.layers[layout].draw(codes)

    def _layer(self, stream: np.typing.NDArray[np.uint8]) -> "Layer":
        pictures = decode(stream)
        if pictures.shape != (1 + self.components, self.height, self.width, CHANNELS):
            raise ModelError(f"decoder: a layout of pictures {pictures.shape}")
        varies = np.abs(pictures[1:]).max(axis=(0, 3), initial=0) > STILL
        still = np.rint(pictures[0].clip(0, 255)).astype(np.uint8)
        sums = np.cumsum(pictures, axis=0)
        sums = light(sums) if self.linear else sums / np.float32(255)
        parts = np.concatenate([sums[:1], np.diff(sums, axis=0)])
        layer = Layer(tiles_of(torch.from_numpy(varies)), *map(torch.from_numpy, (still, parts)))
        return layer.to(self.pictures.device, TABLES[self.linear])


def tiles_of(varies: Tensor) -> Tensor:
    """(height, width) to (rows, columns): True for tiles with a pixel that varies."""
    height, width = varies.shape
    padded = nn.functional.pad(varies, (0, -width % TILE, 0, -height % TILE))
    rows, columns = padded.shape[0] // TILE, padded.shape[1] // TILE
    return padded.view(rows, TILE, columns, TILE).any(dim=3).any(dim=1)


class Layer:
    """One layout, ready to draw."""

    def __init__(self, varies: Tensor, still: Tensor, pictures: Tensor) -> None:
        """``varies``: (rows, columns), tiles that codes change; ``still``: 8-bit base, (height,
        width, 3); ``pictures``: base and shared pictures, (1 + components, height, width, 3),
        of which 1 is white."""
        self.height, self.width = still.shape[:2]
        self.rows, self.columns = varies.shape
        self.tiles = varies.reshape(-1).nonzero()[:, 0]
        self.still = self._tiled(still).reshape(-1, TILE * TILE * CHANNELS)
        # Channel by channel, as sums have a code for each; in steps of the table.
        varying = self._tiled(pictures.permute(1, 2, 3, 0))[self.tiles] * LAST
        planes = varying.permute(2, 3, 0, 1).flatten(2)
        self.base = planes[:, :1] + 0.5
        self.shared = planes[:, 1:].contiguous()

    def to(self, device: torch.device, table: Tensor) -> "Layer":
        self.table = table.to(device)
        self.tiles, self.still = self.tiles.to(device), self.still.to(device)
        self.base, self.shared = self.base.to(device), self.shared.to(device)
        return self

    def draw(self, codes: Tensor) -> Tensor:
        """(batch, components x channels) to 8-bit pixels, (batch, height, width, 3)."""
        batch = len(codes)
        weights = codes.view(batch, -1, CHANNELS).permute(2, 0, 1)
        sums = torch.baddbmm(self.base, weights, self.shared).clamp_(0, LAST)
        levels = torch.take(self.table, sums.long())
        tiles = levels.view(CHANNELS, batch, -1, TILE * TILE).permute(1, 2, 3, 0)
        pixels = self.still.repeat(batch, 1, 1)
        pixels[:, self.tiles] = tiles.reshape(batch, -1, TILE * TILE * CHANNELS)
        grid = pixels.view(batch, self.rows, self.columns, TILE, TILE, CHANNELS)
        whole = grid.permute(0, 1, 3, 2, 4, 5).reshape(
            batch, self.rows * TILE, self.columns * TILE, CHANNELS
        )
        return whole[:, : self.height, : self.width]

    @property
    def size_bytes(self) -> int:
        return self.still.nbytes + self.base.nbytes + self.shared.nbytes

    def _tiled(self, picture: Tensor) -> Tensor:
        """(height, width, ...) to (tiles, TILE x TILE, ...), padded with 0."""
        rest = picture.shape[2:]
        padded = picture.new_zeros(self.rows * TILE, self.columns * TILE, *rest)
        padded[: self.height, : self.width] = picture
        grid = padded.view(self.rows, TILE, self.columns, TILE, *rest).transpose(1, 2)
        return grid.reshape(self.rows * self.columns, TILE * TILE, *rest)


def euler(velocity: Tensor, x: Tensor, sigma: float, next_sigma: float) -> Tensor:
    """One step of the flow's ordinary differential equation (Lipman et al. 2023)."""
    return x + velocity * (next_sigma - sigma)
