"""Posed families: shots that differ in pose and light are brought onto shared pictures.

Registration and pictures take turns, coarse to fine. Pictures are refined by iterative back
projection (Irani and Peleg 1991): what the shots show beyond the drawn ones is carried back to the
frame and fitted there by the shots' codes. As every shot looks at other places between the pixels,
the shared pictures come out finer than any of them, and without their grain.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from origin.training.registration import Scene, register
from origin.training.stages import Stages
from regional_gpu.generator.shots import (
    CHANNELS,
    GAINS,
    PLACE,
    SETTINGS,
    Frame,
    draw,
    light,
    linear,
    look_up,
    place,
    weights,
)

# Turns of pictures and registration at each reduction, and Gauss-Newton steps in each turn.
SCHEDULE = ((8, 5, 4), (4, 3, 2), (2, 2, 2), (1, 4, 1))
# Shorter sides than this show too little to register by.
LEAST_SIDE = 24
# Holds shared pictures where few shots see them.
RIDGE = 0.3

# Margins are whole blocks of so many pixels, with so many more than any shot needs.
BLOCK = 8
ROOM = 3

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Shots:
    """A gallery's shots, and which value of each attribute they show."""

    pixels: NDArray[np.uint8]  # (shots, height, width, 3), sRGB
    values: NDArray[np.int64]  # (shots, attributes), the index of the value
    counts: tuple[int, ...]  # values known, by attribute

    @property
    def rows(self) -> Tensor:
        """Which rows of the codes the shots' values have, (shots, attributes)."""
        starts = np.cumsum([0, *self.counts[:-1]])
        return torch.from_numpy(self.values + starts)

    def reduced(self, factor: int) -> list[Tensor]:
        """The shots in linear light, (height / factor, width / factor, 3) each."""
        return [reduced(shot, factor) for shot in self.pixels]


def reduced(pixels: NDArray[np.uint8], factor: int) -> Tensor:
    """8-bit sRGB (height, width, 3) to linear light of ``factor`` by ``factor`` pixels."""
    whole = linear(torch.tensor(pixels).float() / 255)
    if factor == 1:
        return whole
    return F.avg_pool2d(whole.permute(2, 0, 1), factor).permute(1, 2, 0).contiguous()


@dataclass(frozen=True)
class Fit:
    """Shared pictures, the codes of attribute values, and how every shot was taken."""

    frame: Frame
    pictures: Tensor  # base and one shared picture an attribute, (1 + attributes, tall, wide, 3)
    codes: Tensor  # (values of all attributes, attributes, 3): a value weighs its own's picture
    settings: Tensor  # (shots, SETTINGS + 3 attributes)
    error: float = 0.0  # root mean square, sRGB of 0 to 1

    def scene(self, rows: Tensor) -> Scene:
        """What a shot of these values is taken of; ``rows`` as `Shots.rows` gives them."""
        return Scene(self.frame, self.pictures, self.codes[rows].sum(dim=0))


@torch.inference_mode()
def fit_shots(shots: Shots, progress: Progress, stages: Stages, name: str) -> Fit:
    """Bring every shot onto shared pictures of one pose and one light.

    ``progress`` hears what is done and the share that is done; what each reduction gave is one of
    ``stages``, under ``name``.
    """
    _, height, width, _ = shots.pixels.shape
    levels = [
        level for level in SCHEDULE if level[0] == 1 or min(height, width) // level[0] >= LEAST_SIDE
    ]
    fit: Fit | None = None
    for at, level in enumerate(levels):

        def told(doing: str, done: float, at: int = at) -> None:
            progress(doing, (at + done) / len(levels))

        fit = stages.kept(f"{name}-{level[0]}", Fit, partial(_at_level, shots, level, fit, told))
    if fit is None:
        raise ValueError("no level to fit at")
    return fit


def _at_level(
    shots: Shots, level: tuple[int, int, int], before: Fit | None, progress: Progress
) -> Fit:
    factor, turns, steps = level
    _, height, width, _ = shots.pixels.shape
    seen = shots.reduced(factor)
    frame = Frame(height, width, _margin(before, height, width), factor)
    fit = _start(seen, frame, shots) if before is None else _enlarged(before, frame)
    for turn in range(turns):
        progress(f"bringing shots together, 1/{factor}", turn / turns)
        fit = _turn(fit, seen, shots, steps)
    return _refine_pictures(fit, seen, shots.rows)


def _margin(fit: Fit | None, height: int, width: int) -> int:
    """How far the shots look beyond the frame, in pixels, whole blocks of 8."""
    if fit is None:
        return -(-max(height, width) // 64) * BLOCK
    corners = torch.tensor([[-1.0, 1.0, -1.0, 1.0], [-1.0, -1.0, 1.0, 1.0]])
    x, y = corners * torch.tensor([[width / 2], [height / 2]]) / fit.frame.half
    reach = 0.0
    for settings in fit.settings:
        right, down = place(settings, x, y)
        beyond = max(
            float(right.abs().max()) * fit.frame.half - width / 2,
            float(down.abs().max()) * fit.frame.half - height / 2,
        )
        reach = max(reach, beyond)
    return -(-int(reach + ROOM) // BLOCK) * BLOCK


def coarse_error(shots: Shots, registered: bool) -> float:
    """What additive colour leaves unexplained of shots as they are, or brought together: root mean
    square, sRGB of 0 to 1. ``shots`` are small pictures."""
    _, height, width, _ = shots.pixels.shape
    seen = shots.reduced(1)
    fit = _start(seen, Frame(height, width, 0), shots)
    with torch.inference_mode():
        for _ in range(4):
            if registered:
                fit = _turn(fit, seen, shots, 3)
            fit = _refine_pictures(fit, seen, shots.rows)
        return _register_all(fit, seen, shots.rows, 1, free=0).error


def _turn(fit: Fit, seen: Sequence[Tensor], shots: Shots, steps: int) -> Fit:
    rows = shots.rows
    fit = _refine_pictures(fit, seen, rows)
    fit = _register_all(fit, seen, rows, steps, free=fit.settings.shape[1])
    fit = _settle_codes(fit, shots)
    return _register_all(fit, seen, rows, 1, free=SETTINGS)


def _start(seen: Sequence[Tensor], frame: Frame, shots: Shots) -> Fit:
    """Codes by principal directions of the attributes' additive effects, all shots as they are."""
    stack = torch.stack(list(seen))
    mean = stack.mean(dim=0)
    total = sum(shots.counts)
    design = torch.zeros(len(stack), total).scatter_(1, shots.rows, 1.0)
    effects = torch.linalg.pinv(design - design.mean(dim=0), rtol=1e-3) @ (stack - mean).flatten(1)
    attributes = len(shots.counts)
    codes = torch.zeros(total, attributes, CHANNELS)
    for at, own in enumerate(_blocks(shots)):
        by_channel = effects[own].view(shots.counts[at], -1, CHANNELS).transpose(1, 2)
        left, _, _ = torch.linalg.svd(by_channel.flatten(0, 1), full_matrices=False)
        codes[own, at] = left[:, 0].view(-1, CHANNELS) * len(left) ** 0.5
    tall, wide = map(len, frame.own_axes)
    room = (frame.margin // frame.factor, wide, frame.margin // frame.factor, tall)
    base = F.pad(mean.permute(2, 0, 1)[None], room, mode="replicate")[0, :, :tall, :wide]
    pictures = torch.zeros(1 + attributes, tall, wide, CHANNELS)
    pictures[0] = base.permute(1, 2, 0)
    settings = torch.zeros(len(stack), SETTINGS + CHANNELS * attributes)
    return Fit(frame, pictures, codes, settings)


def _blocks(shots: Shots) -> list[slice]:
    """Each attribute's rows of the codes."""
    ends = np.cumsum(shots.counts)
    return [slice(end - count, end) for end, count in zip(ends, shots.counts, strict=True)]


def _enlarged(fit: Fit, frame: Frame) -> Fit:
    down, across = frame.own_axes
    y, x = torch.meshgrid(down, across, indexing="ij")
    larger = [look_up(fit.frame, picture, x, y) for picture in fit.pictures]
    return replace(fit, frame=frame, pictures=torch.stack(larger))


def _refine_pictures(fit: Fit, seen: Sequence[Tensor], rows: Tensor) -> Fit:
    """One step of back projection over all shots."""
    frame = fit.frame
    plain = replace(frame, margin=0)
    found = torch.zeros_like(fit.pictures)
    normal = torch.zeros(CHANNELS, len(found), len(found))
    covered = torch.zeros(*found.shape[1:3], 1)
    down, across = frame.own_axes
    for at, shot in enumerate(seen):
        scene, settings = fit.scene(rows[at]), fit.settings[at]
        drawn = draw(frame, fit.pictures, scene.codes, settings).clamp_(0, 1)
        left = (shot - drawn) / light(frame, settings)[..., None] / settings[GAINS].exp()
        x, y = _back(settings, across[None, :], down[:, None])
        inside = (x.abs() * frame.half <= frame.width / 2) & (
            y.abs() * frame.half <= frame.height / 2
        )
        carried = look_up(plain, left, x, y) * inside[..., None]
        shares = weights(scene.codes, settings)
        for picture, share in zip(found, shares, strict=True):
            picture.addcmul_(carried, share)
        normal += shares.T[:, :, None] * shares.T[:, None, :]
        covered += inside[..., None]
    inverse = torch.linalg.inv(normal + RIDGE * torch.eye(len(found)))
    change = torch.einsum("cjk,kyxc->jyxc", inverse, found)
    # Near the margin few shots see a place: enough for the base, not to tell values apart.
    change[0] *= (len(seen) + RIDGE) / (covered + RIDGE)
    return replace(fit, pictures=fit.pictures + change)


def _back(settings: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Where in a shot points of the frame are seen: the inverse of `place`."""
    right, down, zoom, turn = settings[PLACE]
    x, y = x - right, y - down
    scale = (1 + zoom) ** 2 + turn**2
    return ((1 + zoom) * x + turn * y) / scale, ((1 + zoom) * y - turn * x) / scale


def _register_all(fit: Fit, seen: Sequence[Tensor], rows: Tensor, steps: int, *, free: int) -> Fit:
    found = [
        register(fit.scene(rows[at]), shot, fit.settings[at], steps, free=free, seed=at)
        for at, shot in enumerate(seen)
    ]
    error = float(np.sqrt(np.mean([left**2 for _, left in found])))
    return replace(fit, settings=torch.stack([one for one, _ in found]), error=error)


def _settle_codes(fit: Fit, shots: Shots) -> Fit:
    """Move into the codes what the tints of a value's shots have in common, and forget the rest: a
    product's colour is its own, what differs from shot to shot is light.

    Codes are kept around 0 with a spread of 1; the pictures make up for it.
    """
    codes, pictures = fit.codes.clone(), fit.pictures.clone()
    tints = fit.settings[:, SETTINGS:].view(len(fit.settings), -1, CHANNELS)
    for at, own in enumerate(_blocks(shots)):
        for value, row in enumerate(range(own.start, own.stop)):
            having = torch.from_numpy(shots.values[:, at] == value)
            if having.any():
                codes[row, at] += tints[having, at].mean(dim=0)
        middle, scale = codes[own, at].mean(dim=0), codes[own, at].std().clamp(min=1e-6)
        pictures[0] += pictures[1 + at] * middle
        pictures[1 + at] *= scale
        codes[own, at] = (codes[own, at] - middle) / scale
    settings = fit.settings.clone()
    settings[:, SETTINGS:] = 0
    return replace(fit, codes=codes, pictures=pictures, settings=settings)
