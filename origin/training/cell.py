"""One cell's pictures, from its gallery images: read once into memory, worked on strip by strip."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from origin.training.capacity import gram, tables
from origin.training.transport import Cell, Codes, Doubles, Floats, shares

STRIP = 32
# A direction that text does not explain must stand out of the noise this many times: a seed
# that moves nothing real hurts.
ABOVE_RESIDUAL = 4.0
MOST_BY_SEED = 3
LEAST_SEED_LEVELS = 0.25


@dataclass(frozen=True)
class Fitted:
    """A cell's pictures, in linear light or in display levels."""

    base: Floats  # (height, width, 3)
    shared: Floats  # (components, height, width, 3)
    seeded: int  # the last of the shared ones, weighted by normals instead of codes
    explained: float  # of the variance within the cell, by text


def measured(pixels: NDArray[np.uint8], columns: Doubles, linear: bool) -> Cell:
    """What a fit needs to know of a cell's images, (assets, height, width, 3)."""
    total = np.zeros((3, len(pixels), len(pixels)))
    for _, strip in _strips(pixels, linear):
        total += gram(strip)
    return Cell(total, columns)


def fitted(pixels: NDArray[np.uint8], cell: Cell, codes: Codes, linear: bool) -> Fitted:
    """A cell's base and shared pictures by least squares on its images' codes."""
    weights = shares(cell, codes)
    rows = codes.rows(cell.columns)
    seeds, explained = _seeds(cell, pixels[0].size, linear)
    together = np.concatenate([weights, np.broadcast_to(seeds, (3, *seeds.shape))], axis=1)
    shared = np.zeros((together.shape[1], *pixels.shape[1:]), dtype=np.float32)
    base = np.zeros(pixels.shape[1:], dtype=np.float32)
    middle = rows.mean(axis=0).T.astype(np.float32)
    for part, strip in _strips(pixels, linear):
        mean = strip.mean(axis=0)
        centred = (strip - mean).transpose(2, 0, 1)
        own = (together.astype(np.float32) @ centred).transpose(1, 2, 0)
        shared[:, part] = own.reshape(shared[:, part].shape)
        shift = np.einsum("ck,kpc->pc", middle, own[: len(own) - len(seeds)])
        base[part] = (mean - shift).reshape(-1, *pixels.shape[2:])
    return Fitted(base, shared, len(seeds), explained)


def _strips(pixels: NDArray[np.uint8], linear: bool) -> Iterator[tuple[slice, Floats]]:
    """Rows, and the images' pixels there in the domain: (assets, points, 3)."""
    table = tables(linear)
    for top in range(0, pixels.shape[1], STRIP):
        part = slice(top, min(top + STRIP, pixels.shape[1]))
        yield part, table[pixels[:, part]].reshape(len(pixels), -1, 3)


def _seeds(cell: Cell, elements: int, linear: bool) -> tuple[Doubles, float]:
    """Weights, (components, assets), of what no effect of text and no noise explains, at the scale
    of one normal; and the share of the variance that text explains."""
    count = len(cell.columns)
    columns = cell.columns - cell.columns.mean(axis=0)
    left, scale, _ = np.linalg.svd(columns, full_matrices=False)
    by_text = left[:, scale > 1e-4 * max(1.0, float(scale[0]))]
    rest = np.eye(count) - by_text @ by_text.T
    inner = cell.gram.sum(axis=0)
    unexplained = rest @ inner @ rest
    total, residual = float(np.trace(inner)), float(np.trace(unexplained))
    energy, directions = np.linalg.eigh(unexplained)
    noise = residual / max(1, count - 1 - by_text.shape[1])
    unit = 1 / 255 if linear else 1.0
    least = max(ABOVE_RESIDUAL * noise, (LEAST_SEED_LEVELS * unit) ** 2 * elements * count)
    found = min(MOST_BY_SEED, int((energy > least).sum()))
    weights = directions[:, ::-1].T[:found] @ rest / np.sqrt(count)
    return weights, 1 - residual / total if total else 1.0
