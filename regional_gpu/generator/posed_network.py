"""A posed family's networks: normals to the settings of a shot, settings to its pixels."""

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from kvsync.errors import ModelError
from regional_gpu.generator.light import light, slope
from regional_gpu.generator.picture_codec import decode
from regional_gpu.generator.shots import CHANNELS, SETTINGS, Frame, curve, draw, pixels


class PoseNetwork(nn.Module):
    """The flow's velocity in one step: from normals to how a shot was taken."""

    def __init__(self, layouts: int) -> None:
        super().__init__()
        self.centre = nn.Parameter(torch.zeros(layouts, SETTINGS), requires_grad=False)
        # Lower triangular: the settings of a family's shots are spread as its square is.
        self.spread = nn.Parameter(torch.zeros(layouts, SETTINGS, SETTINGS), requires_grad=False)

    def forward(self, noise: Tensor, layout: int) -> Tensor:
        """(batch, latents) to velocity of that shape."""
        return noise - (self.centre[layout] + noise @ self.spread[layout].T)

    def settings(self, latents: Tensor, layout: int) -> Tensor:
        """(batch, latents), with tints behind them or without, to the settings of shots."""
        noise, tints = latents[:, :SETTINGS], latents[:, SETTINGS:]
        return torch.cat([noise - self(noise, layout), tints], dim=1)

    def latents(self, settings: Tensor, layout: int) -> Tensor:
        """The normals, (latents,), that give a shot's settings."""
        offset = (settings[:SETTINGS] - self.centre[layout]).double()
        triangle = self.spread[layout].double()
        solved: Tensor = torch.linalg.solve_triangular(triangle, offset[:, None], upper=False)
        return solved[:, 0].float()


class PosedNetwork(nn.Module):
    """Base and shared pictures of each layout in one pose and light; draws shots of them."""

    pictures: Tensor

    def __init__(
        self,
        width: int,
        height: int,
        margins: Sequence[int],
        attributes: int,
        streams: Sequence[int],
    ) -> None:
        """For each layout: how many pixels its pictures reach beyond a shot (``margins``), and the
        bytes of their stream (``streams``, of `picture_codec`): the base in display levels, then
        each attribute's picture in display levels per unit of code.

        Raises ModelError when the sizes are not such a decoder's.
        """
        super().__init__()
        if not 0 < width <= 2048 or not 0 < height <= 2048:
            raise ModelError(f"decoder: {width}x{height} is not a picture size")
        if not all(0 <= margin <= 512 for margin in margins):
            raise ModelError(f"decoder: pictures {list(margins)} pixels larger than a shot")
        if not streams or len(streams) != len(margins) or min(streams) <= 0 or attributes < 0:
            raise ModelError("decoder: a layout has no pictures")
        self.width, self.height, self.attributes = width, height, attributes
        self.margins, self.streams = list(margins), list(streams)
        self.frames = [Frame(height, width, margin) for margin in margins]
        self.register_buffer("pictures", torch.zeros(sum(streams), dtype=torch.uint8))
        self._curve = curve()

    @property
    def layouts(self) -> int:
        return len(self.streams)

    @cached_property
    def layers(self) -> list[Tensor]:
        """Each layout's pictures in linear light, (1 + attributes, tall, wide, 3), on the device of
        the model; decoded on first use. Raises ModelError when a stream is broken."""
        parts = torch.split(self.pictures.cpu(), self.streams)
        device = self.pictures.device
        return [self._layer(*one).to(device) for one in zip(parts, self.frames, strict=True)]

    def forward(self, codes: Tensor, settings: Tensor, layout: int) -> Tensor:
        """Codes (batch, layouts x attributes x 3) and settings (batch, SETTINGS), with tints behind
        them (3 an attribute) or without, to 8-bit sRGB pixels, (batch, height, width, 3)."""
        own = codes.view(len(codes), self.layouts, self.attributes, CHANNELS)[:, layout]
        table = self._curve.to(codes.device)
        missing = SETTINGS + self.attributes * CHANNELS - settings.shape[1]
        whole = nn.functional.pad(settings, (0, missing))
        shots = [
            pixels(draw(self.frames[layout], self.layers[layout], one, taken), table)
            for one, taken in zip(own, whole, strict=True)
        ]
        return torch.stack(shots)

    def _layer(self, stream: Tensor, frame: Frame) -> Tensor:
        found = decode(stream.numpy())
        tall, wide = (len(axis) for axis in frame.own_axes)
        if found.shape != (1 + self.attributes, tall, wide, CHANNELS):
            raise ModelError(f"decoder: a layout of pictures {found.shape}")
        base = light(found[0])
        found[0] = base
        found[1:] /= slope(base)
        return torch.from_numpy(found)
