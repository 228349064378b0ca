"""The family generator's arithmetic: prompt and seed to coefficients, coefficients to pixels.

A family's pictures fall into *layouts* (for a shoe: its views). Within one layout a picture is a
mean plus a few shared pictures, weighted: the weights are what the text gives, moved by the
seed along the directions that the text leaves open.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice

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
        self, width: int, height: int, components: int, streams: Sequence[Sequence[Sequence[int]]]
    ) -> None:
        """``streams``: for each layout the bytes of its mean's planes, then of each component's.

        A picture is the sum of its planes (8-bit pictures around 128; a mean's first around 0),
        each times its ``scale``. Raises ModelError when the sizes are not such a decoder's.
        """
        super().__init__()
        if not 0 < width <= 4096 or not 0 < height <= 4096:
            raise ModelError(f"decoder: {width}x{height} is not a picture size")
        if any(len(pictures) != 1 + components or not pictures[0] for pictures in streams):
            raise ModelError("decoder: a layout's streams are not one mean and its components")
        self.width, self.height, self.components = width, height, components
        self.streams = [[list(planes) for planes in pictures] for pictures in streams]
        sizes = [size for pictures in streams for planes in pictures for size in planes]
        rows, columns = -(-height // TILE), -(-width // TILE)
        self.register_buffer("tiles", torch.zeros(len(streams), rows, columns, dtype=torch.bool))
        self.register_buffer("scale", torch.ones(len(sizes)))
        self.register_buffer("planes", torch.zeros(sum(sizes), dtype=torch.uint8))

    @property
    def layouts(self) -> int:
        return len(self.streams)

    @cached_property
    def layers(self) -> "list[Layer]":
        """The unpacked layouts, on the device of the model; decoded on first use."""
        planes = self._planes()
        layers = []
        for tiles, pictures in zip(self.tiles, self.streams, strict=True):
            still = Tiled(self.width, self.height, tiles)
            first, _ = next(planes)
            mean = still.varying(first)
            for plane, scale in islice(planes, len(pictures[0]) - 1):
                mean += (still.varying(plane) - 128) * scale
            basis = torch.zeros(self.components, mean.numel(), device=mean.device)
            for component, sizes in enumerate(pictures[1:]):
                for plane, scale in islice(planes, len(sizes)):
                    basis[component] += (still.varying(plane) - 128) * scale
            layers.append(Layer(still, first, mean, basis))
        return layers

    def forward(self, coefficients: Tensor, layout: int) -> Tensor:
        """(batch, components) to 8-bit sRGB pixels, (batch, height, width, 3)."""
        return self.layers[layout].draw(coefficients)

    def _planes(self) -> Iterator[tuple[Tensor, Tensor]]:
        content = self.planes.cpu().numpy()
        sizes = (size for pictures in self.streams for planes in pictures for size in planes)
        start = 0
        for size, scale in zip(sizes, self.scale, strict=True):
            plane = unpack(content[start : start + size], self.height, self.width)
            yield torch.from_numpy(plane.copy()).to(scale.device), scale
            start += size


class Tiled:
    """A picture's grid of tiles, and which of them vary."""

    def __init__(self, width: int, height: int, tiles: Tensor) -> None:
        self.width, self.height = width, height
        self.rows, self.columns = tiles.shape
        self.row, self.column = tiles.nonzero(as_tuple=True)

    def whole(self, picture: Tensor) -> Tensor:
        """(height, width, 3) to (rows, TILE, columns, TILE, 3), padded with 0."""
        padded = picture.new_zeros(self.rows * TILE, self.columns * TILE, 3)
        padded[: self.height, : self.width] = picture
        return padded.view(self.rows, TILE, self.columns, TILE, 3)

    def varying(self, picture: Tensor) -> Tensor:
        """The varying tiles' elements as floats, (elements,)."""
        tiles = self.whole(picture).permute(0, 2, 1, 3, 4)[self.row, self.column]
        return tiles.float().reshape(-1)

    def put(self, pixels: Tensor, varying: Tensor) -> Tensor:
        """Lay (batch, elements) over (batch, rows, TILE, columns, TILE, 3); cut to the size."""
        batch = len(pixels)
        target = pixels.permute(0, 1, 3, 2, 4, 5)
        target[:, self.row, self.column] = varying.view(batch, -1, TILE, TILE, 3)
        whole = pixels.view(batch, self.rows * TILE, self.columns * TILE, 3)
        return whole[:, : self.height, : self.width]


class Layer:
    """One layout, ready to draw."""

    def __init__(self, tiled: Tiled, still: Tensor, mean: Tensor, basis: Tensor) -> None:
        self.tiled, self.still = tiled, tiled.whole(still)
        self.mean, self.basis = mean[None], basis

    def draw(self, coefficients: Tensor) -> Tensor:
        pixels = self.still.expand(len(coefficients), *self.still.shape).clone()
        varying = torch.addmm(self.mean, coefficients, self.basis)
        return self.tiled.put(pixels, varying.add_(0.5).clamp_(0, 255).to(torch.uint8))

    @property
    def size_bytes(self) -> int:
        return self.still.nbytes + self.mean.nbytes + self.basis.nbytes


def euler(velocity: Tensor, x: Tensor, sigma: float, next_sigma: float) -> Tensor:
    """One step of the flow's ordinary differential equation (Lipman et al. 2023)."""
    return x + velocity * (next_sigma - sigma)
