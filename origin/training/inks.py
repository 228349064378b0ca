"""Drawings in few inks, found in pictures: flat colours, and edges that mix two of them.

An *ink* is a colour in each look that many points of a cell have exactly. What a rasteriser has
smoothed between two inks is kept as shares of the two. Pictures that shade or were coded with loss
come out in too many inks, or too far from themselves; training then draws the family otherwise.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]

# A colour is an ink where this many points have it.
FEWEST_POINTS = 12
# Inks of one cell are farther apart than this, in 8-bit levels, in some look and channel.
APART = 4.0
MOST_INKS = 80
# A point within this many levels of an ink (root mean square) is of that ink alone.
PURE = 3.0
# How far around an edge its two inks are looked for.
REACH = 2
NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


@dataclass(frozen=True)
class Drawn:
    """A cell in inks; see `regional_gpu.generator.ink_codec.Drawing`."""

    inks: Bytes  # (height, width)
    others: Bytes
    shares: Bytes


def find_inks(picture: Doubles) -> Doubles | None:
    """The inks of ``picture``, (height, width, values), as (inks, values), the most used first;
    None when it has too many to be a drawing in inks."""
    levels = np.rint(picture.reshape(-1, picture.shape[-1])).astype(np.int16)
    colours, counts = np.unique(levels, axis=0, return_counts=True)
    often = np.argsort(-counts, kind="stable")
    found: list[Doubles] = []
    for colour in colours[often[counts[often] >= FEWEST_POINTS]].astype(np.float64):
        if not found or (np.abs(np.array(found) - colour).max(axis=1) >= APART).all():
            found.append(colour)
        if len(found) > MOST_INKS:
            return None
    return np.array(found) if found else None


def draw(picture: Doubles, inks: Doubles, levels: int) -> Drawn:
    """``picture``, (height, width, values), in ``inks``, shares in ``levels`` parts."""
    own = _dominant(picture, inks)
    padded = np.pad(own, 1, mode="edge")
    height, width = own.shape
    near = np.stack(
        [padded[1 + down :, 1 + right :][:height, :width] for down, right in NEIGHBOURS]
    )
    at = np.nonzero((near[:4] != own).any(axis=0))
    points, first = picture[at], inks[own[at]]
    best = np.square(points - first).sum(axis=1)
    others, shares = own.copy(), np.zeros_like(own)
    other, share = others[at], shares[at]
    for side in (one[at] for one in near):
        change = inks[side] - first
        most = np.einsum("pv,pv->p", change, change)
        part = np.einsum("pv,pv->p", points - first, change) / np.maximum(most, 1e-9)
        part = np.rint(part.clip(0, 0.5) * levels)
        error = np.square(points - first - part[:, None] / levels * change).sum(axis=1)
        better = (error < best) & (part > 0)
        best[better], other[better], share[better] = error[better], side[better], part[better]
    others[at], shares[at] = other, share
    return Drawn(own.astype(np.uint8), others.astype(np.uint8), shares.astype(np.uint8))


def shown(drawn: Drawn, colours: Doubles, levels: int) -> Doubles:
    """The picture, (height, width, values), of a cell whose inks have these ``colours``, (inks,
    values)."""
    part = drawn.shares[..., None] / levels
    return np.asarray(colours[drawn.inks] * (1 - part) + colours[drawn.others] * part)


def _dominant(picture: Doubles, inks: Doubles) -> Ints:
    """The ink that each point is or has most of, (height, width)."""
    height, width, values = picture.shape
    points = picture.reshape(-1, values)
    away = np.stack([np.square(points - ink).sum(axis=1) for ink in inks], axis=1)
    own = away.argmin(axis=1)
    best = away[np.arange(len(points)), own]
    pure = best <= values * PURE**2
    around = np.stack(
        [
            maximum_filter(((own == ink) & pure).reshape(height, width), 2 * REACH + 1)
            for ink in range(len(inks))
        ],
        axis=-1,
    ).reshape(len(points), -1)
    open_points = np.flatnonzero(~pure)
    around, best = around[open_points], best[open_points]
    chosen, points = own[open_points], points[open_points]
    for one in range(len(inks)):
        for other in range(one):
            at = np.flatnonzero(around[:, one] & around[:, other])
            if not len(at):
                continue
            change = inks[other] - inks[one]
            part = ((points[at] - inks[one]) @ change / (change @ change)).clip(0, 1)
            error = np.square(points[at] - inks[one] - part[:, None] * change).sum(axis=1)
            better = error < best[at]
            best[at[better]] = error[better]
            chosen[at[better]] = np.where(part[better] > 0.5, other, one)
    own[open_points] = chosen
    return np.asarray(own.reshape(height, width))
