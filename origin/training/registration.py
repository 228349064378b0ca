"""Finds how a shot was taken: Gauss-Newton on place, light and tints against the shared pictures.

The method of Lucas and Kanade (1981) in sRGB levels, as a viewer sees them, with Cauchy weights so
that a wrong colour or a speck moves nothing; coarse pictures first, so that a shift of many pixels
is found (Bergen et al. 1992).
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regional_gpu.generator.shots import (
    BENDS,
    CHANNELS,
    GAINS,
    SETTINGS,
    Frame,
    composed,
    curve,
    draw,
    encoded,
    look_up,
    pixels,
    place,
    weights,
)

# An error of this much of full scale counts half, while colours are not known well.
ROBUST = 0.04
# Of a large picture so many pixels settle the settings as well as all.
MOST_PIXELS = 80_000
# Keeps settings that nothing in the picture fixes where they are.
DAMPING = 1e-5


@dataclass(frozen=True)
class Scene:
    """What a prompt looks like before it is shot: its shared pictures and their codes."""

    frame: Frame
    pictures: Tensor  # base and shared, (1 + n, tall, wide, 3), linear light
    codes: Tensor  # (n, 3)

    def pixels(self, settings: Tensor) -> NDArray[np.uint8]:
        """A shot of the scene, (rows, columns, 3) 8-bit sRGB."""
        shot = draw(self.frame, self.pictures, self.codes, settings)
        drawn: NDArray[np.uint8] = pixels(shot, curve()).numpy()
        return drawn


def register(
    scene: Scene,
    shot: Tensor,
    settings: Tensor,
    steps: int,
    *,
    free: int,
    robust: float = ROBUST,
    seed: int = 0,
) -> tuple[Tensor, float]:
    """The settings that make the scene look most like ``shot``, from ``settings`` on.

    ``shot``: linear light, (rows, columns, 3) of the scene's frame. The first ``free`` settings
    move; an error of ``robust`` counts half; ``seed`` draws the pixels compared. Returns the
    settings and the root mean square error left before the last step, in sRGB of 0 to 1.
    """
    points = _points(shot.shape[0] * shot.shape[1], seed)
    wanted = encoded(shot).reshape(-1, CHANNELS)[points]
    planes = _with_slopes(scene, settings)
    error = 0.0
    for _ in range(steps):
        residual, slopes = _linearised(scene, planes, settings, points, wanted)
        error = float(residual.square().mean().sqrt())
        slopes = slopes[:free]
        weight = 1 / (1 + (residual / robust).square())
        weighted = slopes * weight
        normal = (weighted @ slopes.T).double()
        normal += DAMPING * torch.diag(normal.diagonal().clamp(min=1e-9))
        settings = settings.clone()
        settings[:free] += torch.linalg.solve(normal, (weighted @ residual).double()).float()
    return settings, error


def _points(count: int, seed: int) -> Tensor:
    if count <= MOST_PIXELS:
        return torch.arange(count)
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(count, (MOST_PIXELS,), generator=generator).sort().values


def _with_slopes(scene: Scene, settings: Tensor) -> Tensor:
    """The scene's pictures, and how the colours change along x and y: (tall, wide, 3 (3 + n))."""
    seen = composed(scene.pictures, weights(scene.codes, settings))
    pitch = 2 * scene.frame.factor / scene.frame.half
    across, down = torch.zeros_like(seen), torch.zeros_like(seen)
    across[:, 1:-1] = (seen[:, 2:] - seen[:, :-2]) / pitch
    down[1:-1] = (seen[2:] - seen[:-2]) / pitch
    planes = [*scene.pictures, across, down]
    return torch.cat(planes, dim=-1)


def _linearised(
    scene: Scene, planes: Tensor, settings: Tensor, points: Tensor, wanted: Tensor
) -> tuple[Tensor, Tensor]:
    """What the settings get wrong, (points * 3,), and its change with each, (settings, same)."""
    frame = scene.frame
    rows, columns = frame.axes
    x, y = columns[points % len(columns)], rows[points // len(columns)]
    at = place(settings, x, y)
    *seen, slope_x, slope_y = torch.split(look_up(frame, planes, *at), CHANNELS, dim=-1)
    shares = weights(scene.codes, settings)
    shown = sum((one * share for one, share in zip(seen, shares, strict=True)), 0 * slope_x)
    powers = torch.stack([x**i * y**j for i, j in BENDS])
    bright = (settings[SETTINGS - len(BENDS) : SETTINGS] @ powers).exp()[:, None]
    gain = bright * settings[GAINS].exp()
    made = shown * gain
    residual = wanted - encoded(made)
    by_light = slope_of_curve(made)
    slope_x, slope_y = slope_x * gain * by_light, slope_y * gain * by_light
    scaled = made * by_light
    rows_of = [slope_x, slope_y]
    rows_of += [slope_x * x[:, None] + slope_y * y[:, None]]
    rows_of += [slope_y * x[:, None] - slope_x * y[:, None]]
    rows_of += [scaled * channel for channel in torch.eye(CHANNELS)]
    rows_of += [scaled * power[:, None] for power in powers]
    for picture in seen[1:]:
        tint = picture * gain * by_light
        rows_of += [tint * channel for channel in torch.eye(CHANNELS)]
    return residual.reshape(-1), torch.stack(rows_of).reshape(len(rows_of), -1)


def slope_of_curve(light: Tensor) -> Tensor:
    """d sRGB / d linear light; 0 where the curve is cut off."""
    slope = torch.where(
        light <= 0.0031308,
        torch.full_like(light, 12.92),
        1.055 / 2.4 * light.clamp(min=1e-6) ** (1 / 2.4 - 1),
    )
    return torch.where((light < 0) | (light > 1), torch.zeros_like(light), slope)
