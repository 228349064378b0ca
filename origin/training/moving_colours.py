"""The few colours of a family that move from look to look, and where each lies in a cell.

A point's colours over all looks, less their mean, are a mixture of a few series: skin's, its
shadow's, hair's. Each point of a drawing has nearly one of them, a blend at edges. So series are
found as lines through 0 near which points lie (k-means of lines), not as principal directions,
which would lay every edge into every plane.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

ROUNDS = 15
CANDIDATES = 60
# Against series that are nearly alike: a share of their mean energy.
RIDGE = 0.02
# A point that moves by no more than this many levels is held still.
STILL = 3.0
# What inks' changes may be off, in levels.
WITHIN = 0.3


@dataclass(frozen=True)
class Drawn:
    """A cell as base and planes: colours = base + planes times series."""

    base: Doubles  # (points, 3)
    planes: Doubles  # (points, series), in display levels


def moving_series(tables: Doubles, additive: Doubles, count: int) -> Doubles:
    """``count`` series, (count, looks, 3), the largest change of each 1.

    ``tables``: (points, looks, 3) of some points that move; ``additive``: (looks, looks),
    projects onto what prompts can say. Fewer come back where there are not so many.
    """
    looks = tables.shape[1]
    centred = tables - tables.mean(axis=1, keepdims=True)
    rows = np.einsum("kl,plc->pkc", additive, centred).reshape(len(tables), -1)
    energy = np.square(rows).sum(axis=1)
    rows, energy = rows[energy > 0], energy[energy > 0]
    lines = _settled(rows, _spread(rows, energy, min(count, len(rows))))
    lines = lines[np.abs(lines).max(axis=1, initial=0) > 0]
    lines /= np.abs(lines).max(axis=1, keepdims=True)
    return np.asarray(lines.reshape(-1, looks, 3))


def principal_series(tables: Doubles, additive: Doubles, most: int) -> Doubles:
    """The fewest series, (count, looks, 3), at most ``most``, that draw all changes within
    `WITHIN` levels (root mean square); the largest change of each is 1.

    ``tables``: (inks, looks, 3); ``additive`` as in `moving_series`.
    """
    centred = tables - tables.mean(axis=1, keepdims=True)
    rows = np.einsum("kl,plc->pkc", additive, centred).reshape(len(tables), -1)
    _, scale, lines = np.linalg.svd(rows, full_matrices=False)
    left = np.sqrt(np.append(np.cumsum(np.square(scale)[::-1])[::-1], 0) / rows.size)
    count = max(1, min(most, int((left > WITHIN).sum())))
    lines = lines[:count] / np.abs(lines[:count]).max(axis=1, keepdims=True)
    return np.asarray(lines.reshape(count, -1, 3))


def drawn(tables: Doubles, series: Doubles) -> Drawn:
    """Base and planes of points with these colours, (points, looks, 3), by least squares."""
    base = tables.mean(axis=1)
    rows = (tables - base[:, None]).reshape(len(tables), -1)
    lines = series.reshape(len(series), -1)
    inner = lines @ lines.T
    inner += RIDGE * np.trace(inner) / len(inner) * np.eye(len(inner))
    planes = np.linalg.solve(inner, lines @ rows.T).T
    planes[np.ptp(tables, axis=1).max(axis=-1) <= STILL] = 0
    return Drawn(base, planes)


def _spread(rows: Doubles, energy: Doubles, count: int) -> Doubles:
    """Lines far apart that explain much: each next one adds most to those before."""
    units = rows / np.sqrt(energy)[:, None]
    chosen = [int(np.argsort(energy)[len(energy) // 2])]
    explained = np.square(units @ units[chosen[0]])
    while len(chosen) < count:
        left = np.argsort(-energy * (1 - explained))
        trials = left[:: max(1, len(left) // (8 * CANDIDATES))][:CANDIDATES]
        shares = np.square(units @ units[trials].T)
        gains = (energy[:, None] * np.maximum(shares - explained[:, None], 0)).sum(axis=0)
        best = int(gains.argmax())
        chosen.append(int(trials[best]))
        explained = np.maximum(explained, shares[:, best])
    return units[chosen]


def _settled(rows: Doubles, lines: Doubles) -> Doubles:
    for _ in range(ROUNDS):
        nearest = np.square(rows @ lines.T).argmax(axis=1)
        for at in range(len(lines)):
            own = rows[nearest == at]
            if len(own):
                direction = np.linalg.eigh(own.T @ own)[1][:, -1]
                lines[at] = direction * (np.sign(direction @ lines[at]) or 1)
    return lines
