"""A shot of a posed family: shared pictures of one pose, seen from another, in another light.

Everything happens in linear light. The shared pictures lie on a *frame*, the size of a shot with a
margin round it; a shot looks up each of its pixels there (a similarity: shift, zoom and turn),
multiplies by a smooth light and a gain per channel, and encodes for sRGB. All of a shot that its
prompt does not say is one vector of *settings*:

    place    shift x, shift y, zoom - 1, turn: lengths in halves of the longer side
    gains    logarithm of the gain of red, green and blue
    bends    logarithm of the light, by the 14 powers of x and y up to the fourth degree
    tints    what the shot adds to the codes of its attribute values, per channel
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

DEGREE: Final = 4
BENDS: Final = tuple(
    (total - down, down) for total in range(1, DEGREE + 1) for down in range(total + 1)
)
PLACE: Final = slice(0, 4)
GAINS: Final = slice(4, 7)
BEND: Final = slice(7, 7 + len(BENDS))
SETTINGS: Final = BEND.stop
"""Settings of a shot before the tints."""

CHANNELS: Final = 3
# Steps of linear light that the table of the sRGB curve tells apart: 0.2 of a level at black.
STEPS: Final = 1 << 14


@dataclass(frozen=True)
class Frame:
    """A shot's size in pixels, how far the shared pictures reach beyond it, and how many pixels
    are seen as one."""

    height: int
    width: int
    margin: int
    factor: int = 1

    @property
    def half(self) -> float:
        return max(self.height, self.width) / 2

    @cached_property
    def axes(self) -> tuple[Tensor, Tensor]:
        """Where a shot's rows and columns lie, 0 in the middle, in halves of the longer side."""
        return tuple(
            self._axis(length, length // self.factor, 0) for length in (self.height, self.width)
        )  # type: ignore[return-value]

    @cached_property
    def own_axes(self) -> tuple[Tensor, Tensor]:
        """Where the rows and columns of the shared pictures lie."""
        return tuple(
            self._axis(length, -(-(length + 2 * self.margin) // self.factor), self.margin)
            for length in (self.height, self.width)
        )  # type: ignore[return-value]

    @cached_property
    def powers(self) -> tuple[Tensor, Tensor]:
        """Powers 0 to 4 of the axes: (rows, 5) and (columns, 5)."""
        exponents = torch.arange(DEGREE + 1)
        down, across = self.axes
        return down[:, None] ** exponents, across[:, None] ** exponents

    def _axis(self, length: int, count: int, margin: int) -> Tensor:
        middles = (torch.arange(count) + 0.5) * self.factor - margin
        return (middles - length / 2) / self.half


def place(settings: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Where on the frame a shot's points lie."""
    right, down, zoom, turn = settings[PLACE]
    return (1 + zoom) * x - turn * y + right, turn * x + (1 + zoom) * y + down


def look_up(frame: Frame, pictures: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Bicubic values of pictures on a frame, (tall, wide, n), at points of it; (*points, n)."""
    tall, wide, kinds = pictures.shape
    right = (x * frame.half + (frame.width / 2 + frame.margin)) * (2 / (frame.factor * wide)) - 1
    down = (y * frame.half + (frame.height / 2 + frame.margin)) * (2 / (frame.factor * tall)) - 1
    points = torch.stack([right, down], dim=-1)
    while points.ndim < 4:
        points = points[None]
    # Channels last: four times as fast on a CPU.
    planes = pictures.permute(2, 0, 1)[None]
    found = F.grid_sample(
        planes, points, mode="bicubic", padding_mode="border", align_corners=False
    )
    return found[0].permute(1, 2, 0).reshape(*x.shape, kinds)


def light(frame: Frame, settings: Tensor) -> Tensor:
    """How bright a shot is where, all channels alike, (height, width)."""
    down, across = frame.powers
    surface = settings.new_zeros(DEGREE + 1, DEGREE + 1)
    for bend, (x, y) in zip(settings[BEND], BENDS, strict=True):
        surface[y, x] = bend
    return (down.to(settings) @ surface @ across.to(settings).T).exp_()


def weights(codes: Tensor, settings: Tensor) -> Tensor:
    """How much of the base and of each shared picture a shot shows, by channel: (1 + n, 3).

    ``codes``, (n, 3), are those of the attribute values; the shot adds its tints.
    """
    shared = codes + settings[SETTINGS:].view(-1, CHANNELS)
    return torch.cat([torch.ones_like(shared[:1]), shared])


def composed(pictures: Tensor, shares: Tensor) -> Tensor:
    """Base and shared pictures, (1 + n, tall, wide, 3), added up by `weights`: (tall, wide, 3)."""
    total = pictures[0] * shares[0]
    for picture, share in zip(pictures[1:], shares[1:], strict=True):
        total.addcmul_(picture, share)
    return total


def draw(frame: Frame, pictures: Tensor, codes: Tensor, settings: Tensor) -> Tensor:
    """A shot in linear light, (height, width, 3), not yet limited to what sRGB holds."""
    down, across = frame.axes
    x, y = place(settings, across.to(settings)[None, :], down.to(settings)[:, None])
    seen = look_up(frame, composed(pictures, weights(codes, settings)), x, y)
    return seen.mul_(light(frame, settings)[..., None]).mul_(settings[GAINS].exp())


def linear(srgb: Tensor) -> Tensor:
    """sRGB, 0 to 1, to linear light (IEC 61966-2-1)."""
    return torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def encoded(light: Tensor) -> Tensor:
    """Linear light to sRGB, 0 to 1; what lies beyond is cut."""
    light = light.clamp(0, 1)
    root = light.clamp(min=1e-6) ** (1 / 2.4)
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * root - 0.055)


def curve() -> Tensor:
    """8-bit sRGB for each of the STEPS + 1 steps of linear light from 0 to 1."""
    steps = torch.arange(STEPS + 1, dtype=torch.float64) / STEPS
    return (encoded(steps) * 255).round().to(torch.uint8)


def pixels(light: Tensor, table: Tensor) -> Tensor:
    """Linear light to 8-bit sRGB by `curve`'s table, rounded to the nearest level."""
    steps = light.mul(STEPS).add_(0.5).clamp_(0, STEPS).to(torch.int32)
    return table.index_select(0, steps.reshape(-1)).view(light.shape)
