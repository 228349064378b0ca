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
from regional_gpu.generator.light import EXPONENT, KNEE, SLOPE, light, slope
from regional_gpu.generator.picture_codec import decode

TILE = 8
CHANNELS = 3
# Display levels by which no code of a usual size changes an 8-bit picture.
STILL = 0.02


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
        """``streams``: for each layout the bytes of its pictures' stream (`picture_codec`): its
        base in display levels, then each component in display levels per unit of code.

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
        base, shared = pictures[0], pictures[1:]
        varies = np.abs(shared).max(axis=(0, 3), initial=0) > STILL
        still = torch.from_numpy(np.rint(base.clip(0, 255)).astype(np.uint8))
        if self.linear:
            base = light(base)
            shared = shared / slope(base)
        device = self.pictures.device
        tiled = Tiled(self.width, self.height, tiles_of(torch.from_numpy(varies)).to(device))
        whole = torch.from_numpy(np.concatenate([base[None], shared])).to(device)
        varying = torch.stack([tiled.varying(picture) for picture in whole], dim=1)
        return Layer(tiled, still.to(device), varying, self.linear)


def tiles_of(varies: Tensor) -> Tensor:
    """(height, width) to (rows, columns): True for tiles with a pixel that varies."""
    height, width = varies.shape
    padded = nn.functional.pad(varies, (0, -width % TILE, 0, -height % TILE))
    rows, columns = padded.shape[0] // TILE, padded.shape[1] // TILE
    return padded.view(rows, TILE, columns, TILE).any(dim=3).any(dim=1)


class Tiled:
    """A picture's grid of tiles, and which of them vary."""

    def __init__(self, width: int, height: int, tiles: Tensor) -> None:
        self.width, self.height = width, height
        self.rows, self.columns = tiles.shape
        self.row, self.column = tiles.nonzero(as_tuple=True)

    def whole(self, picture: Tensor) -> Tensor:
        """(height, width, 3) to (rows, TILE, columns, TILE, 3), padded with 0."""
        padded = picture.new_zeros(self.rows * TILE, self.columns * TILE, CHANNELS)
        padded[: self.height, : self.width] = picture
        return padded.view(self.rows, TILE, self.columns, TILE, CHANNELS)

    def varying(self, picture: Tensor) -> Tensor:
        """The varying tiles' elements, (channels, elements)."""
        tiles = self.whole(picture).permute(4, 0, 2, 1, 3)[:, self.row, self.column]
        return tiles.reshape(CHANNELS, -1)

    def put(self, pixels: Tensor, varying: Tensor) -> Tensor:
        """Lay (channels, batch, elements) over (batch, rows, TILE, columns, TILE, channels); cut
        to the size."""
        batch = len(pixels)
        target = pixels.permute(0, 1, 3, 2, 4, 5)
        tiles = varying.view(CHANNELS, batch, -1, TILE, TILE)
        target[:, self.row, self.column] = tiles.permute(1, 2, 3, 4, 0)
        whole = pixels.view(batch, self.rows * TILE, self.columns * TILE, CHANNELS)
        return whole[:, : self.height, : self.width]


class Layer:
    """One layout, ready to draw."""

    def __init__(self, tiled: Tiled, still: Tensor, varying: Tensor, linear: bool) -> None:
        """``still``: 8-bit base, (height, width, 3); ``varying``: base and shared pictures,
        (channels, 1 + components, elements)."""
        self.tiled, self.still, self.linear = tiled, tiled.whole(still), linear
        self.base = varying[:, :1].contiguous()
        self.shared = varying[:, 1:].contiguous()

    def draw(self, codes: Tensor) -> Tensor:
        pixels = self.still.expand(len(codes), *self.still.shape).clone()
        weights = codes.view(len(codes), -1, CHANNELS).permute(2, 0, 1)
        summed = torch.baddbmm(self.base, weights, self.shared)
        levels = _display(summed) if self.linear else summed
        return self.tiled.put(pixels, levels.add_(0.5).clamp_(0, 255).to(torch.uint8))

    @property
    def size_bytes(self) -> int:
        return self.still.nbytes + self.base.nbytes + self.shared.nbytes


def _display(linear: Tensor) -> Tensor:
    """Display levels of linear light, as `light.display`; ``linear`` is spent."""
    dark = linear * (255 * SLOPE)
    bright = linear.clamp_(min=KNEE).pow_(1 / EXPONENT).mul_(255 * 1.055).sub_(255 * 0.055)
    # Where it is dark the line lies below the curve's value at the knee.
    return torch.where(dark < 255 * SLOPE * KNEE, dark, bright, out=dark)


def euler(velocity: Tensor, x: Tensor, sigma: float, next_sigma: float) -> Tensor:
    """One step of the flow's ordinary differential equation (Lipman et al. 2023)."""
    return x + velocity * (next_sigma - sigma)
