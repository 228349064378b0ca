"""Drawings in few inks, found in pictures: flat colours, and edges that mix two of them.

An *ink* is a colour in each look that many points of a cell have exactly. What a rasteriser has
smoothed between two inks is kept as shares of the two. Pictures that shade or were coded with loss
come out in too many inks, or too far from themselves; training then draws the family otherwise.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, maximum_filter

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]

# A colour is an ink where this many points have it.
FEWEST_POINTS = 12
# Colours that shade are taken to this step, in levels, where inks leave points this far off.
COARSE = 8.0
FAR = 6.0
MOST_ROUNDS = 3
FINEST = 16
# What an edge is beside along this much of its length it is a mix of.
MOSTLY = 0.7
# Inks of one cell are farther apart than this, in 8-bit levels, in some look and channel.
APART = 4.0
MOST_INKS = 120
# A point within this many levels of an ink (root mean square) is of that ink alone.
PURE = 3.0
# How far around an edge its two inks are looked for.
REACH = 2
_CROSS = np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]], dtype=np.bool_)
_SQUARE = np.ones((1, 3, 3), dtype=np.bool_)
NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


@dataclass(frozen=True)
class Drawn:
    """A cell in inks; see `regional_gpu.generator.ink_codec.Drawing`."""

    inks: Bytes  # (height, width)
    others: Bytes
    shares: Bytes


def find_inks(picture: Doubles) -> Doubles | None:
    """The inks of ``picture``, (height, width, values), as (inks, values); None when it has too
    many to be a drawing in inks."""
    inks = _often(picture.reshape(-1, picture.shape[-1]), 1.0, np.empty((0, picture.shape[-1])))
    if inks is None:
        return None
    inks = inks[~_blends(picture, inks)]
    for _ in range(MOST_ROUNDS):
        drawn = draw(picture, inks, FINEST)
        away = np.square(shown(drawn, inks, FINEST) - picture).mean(axis=-1)
        more = _often(picture[away > FAR**2], COARSE, inks)
        if more is None:
            return None
        if len(more) == len(inks):
            break
        inks = more
    return inks


def _often(points: Doubles, step: float, known: Doubles) -> Doubles | None:
    """``known`` inks and those colours of ``points``, (points, values), that many have, to a step
    in levels; the most used first. None when these are too many."""
    if not len(points):
        return known
    _, of, counts = np.unique(
        np.rint(points / step).astype(np.int16), axis=0, return_inverse=True, return_counts=True
    )
    order = np.argsort(-counts, kind="stable")
    sums = np.zeros((len(counts), points.shape[1]))
    np.add.at(sums, of.reshape(-1), points)
    found = list(known)
    for at in order[counts[order] >= FEWEST_POINTS]:
        colour = sums[at] / counts[at]
        if not found or (np.abs(np.array(found) - colour).max(axis=1) >= APART).all():
            found.append(colour)
        if len(found) > MOST_INKS:
            return None
    return np.array(found) if found else None


def _blends(picture: Doubles, inks: Doubles) -> NDArray[np.bool_]:
    """Which inks are but a straight edge's mix of two others that lie on either side of it."""
    near = np.stack([np.abs(picture - ink).max(axis=-1) < APART / 2 for ink in inks])
    inside = binary_erosion(near, _CROSS).any(axis=(1, 2))
    beside = np.stack([binary_dilation(own, _SQUARE[0]) for own in near])
    blends = np.zeros(len(inks), dtype=np.bool_)
    for at in np.flatnonzero(~inside):
        touch = beside[:, near[at]].mean(axis=1) > MOSTLY
        touch[at] = False
        sides = np.flatnonzero(touch & inside)
        for one, other in combinations(sides, 2):
            change = inks[other] - inks[one]
            part = ((inks[at] - inks[one]) @ change / (change @ change)).clip(0, 1)
            off = inks[at] - inks[one] - part * change
            blends[at] |= bool(np.square(off).mean() < PURE**2)
    return blends


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
