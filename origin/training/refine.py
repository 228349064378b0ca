"""Shared pictures as fine as luma, though colour was stored at half size.

Where laces are red in one image and blue in another, luma alone tells how each channel's light
falls on each pixel. So a cell's pictures are fitted to what its files say (`observed`), in the
levels in which they say it: by Gauss-Newton, for each block of ``side`` x ``side`` pixels with
all its unknowns, (pixels x channels x pictures), at once. Colour that neither settles is held to
what changes slowly: a transport's colour, and that of the base in display levels.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from origin.training.observed import Observed
from regional_gpu.generator.light import EXPONENT, KNEE, SLOPE, display, light, slope
from regional_gpu.generator.picture_codec import FROM_YCC, TO_YCC

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

ROUNDS = 2
# Blocks in which no shared picture changes a pixel by this many display levels keep the plain fit.
FLOOR = 2.0
# How firmly luma and colour are held to where they start, in units of coding noise per level.
HOLD_LUMA, HOLD_CHROMA = 1.0, 4.0
# Pixels (standard deviation) over which a transport's colour is taken to be one.
SMOOTH = 1.5
# Transports weaker than this, in linear light, have no colour to speak of.
FAINT = 1e-7
MOST_IMAGES = 128
ROWS = 32
BATCH = 1000
# Display levels per unit of light, where the dark would hold a base too firmly.
STEEPEST = 1000.0
_YCC = torch.from_numpy(TO_YCC)
_HOLD = _YCC.T @ torch.diag(torch.tensor([HOLD_LUMA, HOLD_CHROMA, HOLD_CHROMA])) ** 2 @ _YCC


def refined(pictures: Floats, rows: Doubles, seen: Observed) -> Floats:
    """A cell's base and shared pictures, (1 + components, height, width, 3) in linear light,
    fitted to ``seen`` from where the plain fit left them.

    ``rows``: the images' codes, (images, components, 3).
    """
    start = _smooth_in_colour(pictures) if seen.side > 1 else pictures
    middle = pictures[0] + np.einsum("kc,kyxc->yxc", rows.mean(axis=0), pictures[1:])
    shared = np.broadcast_to(slope(middle), pictures[1:].shape)
    worth = np.concatenate([slope(start[:1]).clip(max=STEEPEST), shared])
    images = np.linspace(0, len(rows) - 1, min(len(rows), MOST_IMAGES)).astype(np.intp)
    whole = np.concatenate([np.ones_like(rows[:, :1]), rows], axis=1)[images]
    codes = torch.from_numpy(np.ascontiguousarray(whole.transpose(0, 2, 1), dtype=np.float32))
    found = pictures.copy()
    for top in range(0, pictures.shape[1], ROWS):
        part = slice(top, min(top + ROWS, pictures.shape[1]))
        strip, first, own = (_blocks(one[:, part], seen.side) for one in (pictures, start, worth))
        varies = ((strip * own)[..., 1:].abs().amax(dim=(1, 2, 3)) > FLOOR).nonzero()[:, 0]
        luma, chroma = seen.rows(part.start, part.stop)
        light_seen = _blocks(luma[images, :, :, None], seen.side)[:, :, 0]
        colour_seen = torch.from_numpy(chroma[images]).permute(1, 2, 0, 3).flatten(0, 1)
        for chosen in torch.split(varies, BATCH):
            strip[chosen] = _settled(
                first[chosen], own[chosen], codes, light_seen[chosen], colour_seen[chosen]
            )
        found[:, part] = _picture(strip, found[:, part].shape, seen.side)
    return found


def _settled(start: Tensor, worth: Tensor, codes: Tensor, luma: Tensor, chroma: Tensor) -> Tensor:
    """Blocks' unknowns, (blocks, pixels, channels, pictures), that foretell what was seen.

    ``luma``: (blocks, pixels, images); ``chroma``: (blocks, images, 2).
    """
    blocks, pixels, channels, count = start.shape
    size = pixels * channels * count
    together = _together(pixels, count)
    hold = _hold(worth)
    values = start
    for _ in range(ROUNDS):
        shown, steep = _shown(torch.einsum("bpck,nck->bnpc", values, codes))
        missed = (luma.transpose(1, 2) - shown @ _YCC[0])[..., None] * _YCC[0]
        missed = (
            missed + ((chroma - shown.mean(dim=2) @ _YCC[1:].T) @ _YCC[1:])[:, :, None] / pixels
        )
        slopes = steep[..., None] * codes[:, None]
        gain = ((steep * missed)[..., None] * codes[:, None]).sum(dim=1).reshape(blocks, size)
        flat = slopes.reshape(blocks, len(codes), size)
        square = (flat.transpose(1, 2) @ flat) * together + hold
        gain += (hold @ (start - values).reshape(blocks, size, 1))[..., 0]
        factor, _ = torch.linalg.cholesky_ex(square)
        values = values + torch.cholesky_solve(gain[..., None], factor).view_as(values)
    return values


def _shown(linear: Tensor) -> tuple[Tensor, Tensor]:
    """Display levels of linear light, and their slope; the line in the dark goes on below 0."""
    bright = linear.clamp(min=KNEE) ** (1 / EXPONENT)
    dark = linear <= KNEE
    levels = torch.where(dark, linear * SLOPE, 1.055 * bright - 0.055)
    slopes = torch.where(dark, SLOPE, 1.055 / EXPONENT * bright / linear.clamp(min=KNEE))
    return 255 * levels, 255 * slopes


def _together(pixels: int, count: int) -> Tensor:
    """How far two unknowns of a block are seen together: luma in each pixel, colour in all."""
    luma, chroma = torch.outer(_YCC[0], _YCC[0]), _YCC[1:].T @ _YCC[1:] / pixels**2
    by_pixel = torch.eye(pixels)[:, :, None, None] * luma + chroma
    size = pixels * 3 * count
    spread = by_pixel.permute(0, 2, 1, 3)[:, :, None, :, :, None]
    return spread.expand(pixels, 3, count, pixels, 3, count).reshape(size, size)


def _hold(worth: Tensor) -> Tensor:
    """What holds a block's unknowns to their start, (blocks, unknowns, unknowns)."""
    blocks, pixels, _, count = worth.shape
    own = worth.permute(0, 1, 3, 2)
    each = own[..., :, None] * _HOLD * own[..., None, :]
    hold = torch.zeros(blocks, pixels, 3, count, pixels, 3, count)
    for pixel in range(pixels):
        for at in range(count):
            hold[:, pixel, :, at, pixel, :, at] = each[:, pixel, at]
    size = pixels * 3 * count
    return hold.view(blocks, size, size)


def _smooth_in_colour(pictures: Floats) -> Floats:
    """The same luma; colour as it changes slowly."""
    smooth = pictures.copy()
    levels = display(pictures[0]) @ TO_YCC.T
    for plane in (1, 2):
        levels[..., plane] = gaussian_filter(levels[..., plane], SMOOTH)
    smooth[0] = light((levels @ FROM_YCC.T).astype(np.float32))
    for picture, own in zip(smooth[1:], pictures[1:], strict=True):
        strength = own @ TO_YCC[0]
        energy = gaussian_filter(strength * strength, SMOOTH) + FAINT
        for channel in range(3):
            share = gaussian_filter(own[..., channel] * strength, SMOOTH) / energy
            picture[..., channel] = share * strength
    return smooth


def _blocks(pictures: Floats, side: int) -> Tensor:
    """(pictures, height, width, channels) to (blocks, pixels, channels, pictures)."""
    count, height, width, channels = pictures.shape
    cut = pictures.reshape(count, height // side, side, width // side, side, channels)
    ordered = cut.transpose(1, 3, 2, 4, 5, 0).reshape(-1, side * side, channels, count)
    return torch.from_numpy(np.ascontiguousarray(ordered, dtype=np.float32))


def _picture(blocks: Tensor, shape: tuple[int, ...], side: int) -> Floats:
    """The inverse of `_blocks`."""
    count, height, width, channels = shape
    cut = blocks.numpy().reshape(height // side, width // side, side, side, channels, count)
    return cut.transpose(5, 0, 2, 1, 3, 4).reshape(shape)
