"""The closed form of one layout: a mean, shared pictures, and their weights by attribute value."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# A direction is kept when it carries this many times the energy that noise alone gives it.
ABOVE_NOISE = 2.0
# A direction that text does not explain must stand out more: a seed that moves nothing real hurts.
ABOVE_RESIDUAL = 4.0
MOST_BY_TEXT = 24
MOST_BY_SEED = 3
# Root mean square, in 8-bit levels, below which a direction costs more bytes than it shows.
LEAST_LEVELS = 0.14
LEAST_SEED_LEVELS = 0.25


@dataclass(frozen=True)
class Factors:
    """pictures = mean + (design @ effects + spread * normals) @ basis."""

    mean: Floats  # (elements,)
    basis: Floats  # (components, elements), each weighted by something near unit variance
    effects: Floats  # (values, components)
    offset: Floats  # (components,)
    spread: Floats  # (components,), 0 where text gives the weight
    explained: float  # of the gallery's variance, by text


def factorise(pictures: Floats, columns: Floats) -> Factors:
    """Fit one layout's pictures, (assets, elements), by least squares on ``columns``.

    ``columns``, (assets, values), says which attribute values each asset has. Directions are
    kept by comparing their energy with what the residual's noise would put there.
    """
    count = len(pictures)
    mean = pictures.mean(axis=0)
    centred = pictures - mean
    by_text = _range(columns - columns.mean(axis=0))
    projected = by_text.T @ centred
    residual = centred - by_text @ projected
    total = float(np.square(centred).sum())
    left = float(np.square(residual).sum())
    freedom = max(1, count - 1 - by_text.shape[1])
    noise = left / freedom
    directions, energy, basis = _directions(projected)
    least = max(ABOVE_NOISE * noise, LEAST_LEVELS**2 * pictures.size)
    kept = min(MOST_BY_TEXT, int((energy > least).sum()))
    # What is left of an estimated direction once the noise's expected share is taken off.
    shrink = np.sqrt(np.maximum(energy[:kept] - noise, 0) * energy[:kept]) / np.sqrt(count)
    weights = by_text @ directions[:, :kept] * np.sqrt(count)
    offset, effects = _effects(columns, weights)
    text_basis = basis[:kept] * (shrink / np.sqrt(energy[:kept]))[:, None]
    seed_basis = _seed_basis(residual, count, noise)
    free = len(seed_basis)
    return Factors(
        mean,
        np.concatenate([text_basis, seed_basis]),
        np.pad(effects, ((0, 0), (0, free))),
        np.pad(offset, (0, free)),
        np.concatenate([np.zeros(kept, np.float32), np.ones(free, np.float32)]),
        1 - left / total if total else 1.0,
    )


def _range(columns: Floats) -> Floats:
    """An orthonormal basis of the columns' span, (assets, rank)."""
    left, scale, _ = np.linalg.svd(columns, full_matrices=False)
    kept: Floats = left[:, scale > 1e-4 * max(1.0, float(scale[0]))]
    return kept


def _directions(rows: Floats) -> tuple[Floats, Floats, Floats]:
    """Left directions, energies and unit right directions of a wide matrix, by its Gram matrix."""
    if not len(rows):
        return rows[:, :0], np.zeros(0, np.float32), rows
    energy, left = np.linalg.eigh((rows @ rows.T).astype(np.float64))
    energy, left = np.maximum(energy[::-1], 1e-12), left[:, ::-1]
    right = (left / np.sqrt(energy)).T.astype(np.float32) @ rows
    return left.astype(np.float32), energy.astype(np.float32), right


def _effects(columns: Floats, weights: Floats) -> tuple[Floats, Floats]:
    mean = weights.mean(axis=0)
    effects = np.linalg.pinv(columns - columns.mean(axis=0), rcond=1e-4) @ (weights - mean)
    return mean - columns.mean(axis=0) @ effects, effects.astype(np.float32)


def _seed_basis(residual: Floats, count: int, noise: float) -> Floats:
    """The residual's directions that stand out of its noise, at the scale of one normal."""
    _, energy, basis = _directions(residual)
    least = max(ABOVE_RESIDUAL * noise, LEAST_SEED_LEVELS**2 * residual.size)
    kept = min(MOST_BY_SEED, int((energy > least).sum()))
    scaled: Floats = basis[:kept] * np.sqrt(energy[:kept] / count)[:, None]
    return scaled
