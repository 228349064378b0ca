"""The family generator's arithmetic: prompt and seed to coefficients, coefficients to pixels.

A family's pictures fall into *layouts* (for a shoe: its views). Within one layout a picture is a
mean plus a few shared pictures, weighted: the weights are what the text gives, moved by the
seed along the directions that the text leaves open.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from kvsync.errors import ModelError
from regional_gpu.generator.planes import unpack

TILE = 8


class TextNetwork(nn.Module):
    """Embeds one token per attribute; the embedding of a prompt is their sum."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.zeros(tokens, width), requires_grad=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, attributes) token ids to (batch, width)."""
        return self.embedding[tokens].sum(dim=1)


class CoefficientNetwork(nn.Module):
    """The flow's velocity in one step: from normals to the coefficients of a picture."""

    def __init__(self, layouts: int, width: int, components: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(layouts, components), requires_grad=False)
        self.weight = nn.Parameter(torch.zeros(layouts, width, components), requires_grad=False)
        # How far a seed moves each picture: (layout, normal, component).
        self.spread = nn.Parameter(
            torch.zeros(layouts, components, components), requires_grad=False
        )

    @property
    def components(self) -> int:
        return self.bias.shape[1]

    def forward(self, noise: Tensor, text: Tensor, layout: int) -> Tensor:
        """noise (batch, components), text (batch, width) to velocity (batch, components)."""
        coefficients = torch.addmm(self.bias[layout], text, self.weight[layout])
        return noise - (coefficients + noise @ self.spread[layout])


class BasisNetwork(nn.Module):
    """Mean and shared pictures of each layout; tiles that never change hold the mean only."""

    tiles: Tensor
    scale: Tensor
    planes: Tensor

    def __init__(
        self, width: int, height: int, components: int, streams: Sequence[Sequence[int]]
    ) -> None:
        """``streams``: for each layout, the bytes of its mean's stream, then of each component's.

        Raises ModelError when the sizes are not those of such a decoder.
        """
        super().__init__()
        if not 0 < width <= 4096 or not 0 < height <= 4096:
            raise ModelError(f"decoder: {width}x{height} is not a picture size")
        if any(len(sizes) != 1 + components for sizes in streams):
            raise ModelError("decoder: a layout's streams are not one mean and its components")
        self.width, self.height, self.components = width, height, components
        self.layouts = len(streams)
        rows, columns = -(-height // TILE), -(-width // TILE)
        self.register_buffer("tiles", torch.zeros(self.layouts, rows, columns, dtype=torch.bool))
        self.register_buffer("scale", torch.ones(self.layouts, components))
        self.streams = [list(sizes) for sizes in streams]
        total = sum(sum(sizes) for sizes in streams)
        self.register_buffer("planes", torch.zeros(total, dtype=torch.uint8))

    @cached_property
    def layers(self) -> "list[Layer]":
        """The unpacked layouts, on the device of the model; decoded on first use."""
        layers, start = [], 0
        content = self.planes.cpu().numpy()
        for layout, sizes in enumerate(self.streams):
            pictures = []
            for size in sizes:
                pictures.append(unpack(content[start : start + size], self.height, self.width))
                start += size
            layers.append(Layer(pictures, self.tiles[layout], self.scale[layout]))
        return layers

    def forward(self, coefficients: Tensor, layout: int) -> Tensor:
        """(batch, components) to 8-bit sRGB pixels, (batch, height, width, 3)."""
        return self.layers[layout].draw(coefficients)


class Layer:
    """One layout, ready to draw."""

    def __init__(
        self,
        pictures: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]],
        tiles: Tensor,
        scale: Tensor,
    ) -> None:
        device = scale.device
        self.height, self.width = pictures[0].shape[:2]
        rows, columns = tiles.shape
        self.shape = (rows, TILE, columns, TILE, 3)
        self.row, self.column = tiles.nonzero(as_tuple=True)
        cut = [self._tiled(torch.from_numpy(picture.copy()).to(device)) for picture in pictures]
        self.still = cut[0]
        self.mean = cut[0].permute(0, 2, 1, 3, 4)[self.row, self.column].float().reshape(1, -1)
        varying = [
            picture.permute(0, 2, 1, 3, 4)[self.row, self.column].reshape(-1) for picture in cut[1:]
        ]
        basis = (
            torch.stack(varying) if varying else torch.zeros(0, self.mean.shape[1], device=device)
        )
        self.basis = (basis.float() - 128) * scale[:, None]

    def draw(self, coefficients: Tensor) -> Tensor:
        batch = coefficients.shape[0]
        pixels = self.still.expand(batch, *self.shape).clone()
        varying = torch.addmm(self.mean, coefficients, self.basis)
        drawn = varying.add_(0.5).clamp_(0, 255).to(torch.uint8)
        target = pixels.permute(0, 1, 3, 2, 4, 5)
        target[:, self.row, self.column] = drawn.view(batch, -1, TILE, TILE, 3)
        whole = pixels.view(batch, self.shape[0] * TILE, self.shape[2] * TILE, 3)
        return whole[:, : self.height, : self.width]

    @property
    def size_bytes(self) -> int:
        return self.still.nbytes + self.mean.nbytes + self.basis.nbytes

    def _tiled(self, picture: Tensor) -> Tensor:
        rows, columns = self.shape[0] * TILE, self.shape[2] * TILE
        padded = picture.new_zeros(rows, columns, 3)
        padded[: self.height, : self.width] = picture
        return padded.view(self.shape)


def euler(velocity: Tensor, x: Tensor, sigma: float, next_sigma: float) -> Tensor:
    """One step of the flow's ordinary differential equation (Lipman et al. 2023)."""
    return x + velocity * (next_sigma - sigma)
