"""The way of drawing in pictures: bases and planes, coded as images are; for any family."""

import bisect
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from origin.gallery import Gallery
from origin.training.colour_table import Table, learn
from origin.training.content_cells import Cells
from origin.training.content_model import (
    SHARE,
    Bytes,
    Made,
    Progress,
    Stack,
    Trial,
    network_of,
    scores,
    trial_cells,
)
from origin.training.measure import additive_span
from origin.training.moving_colours import Doubles, drawn, moving_series
from regional_gpu.generator.content_network import ZERO
from regional_gpu.generator.content_pictures import SPEED, pack, stack_size

COUNTS = (1, 2, 3, 4, 6, 8)
QUALITIES = range(30, 91, 4)
TRIAL_SPEED = 6
# How many times all cells are packed to find the quality, and how bytes grow with it (logarithm).
MOST_PACKINGS = 3
BYTES_PER_QUALITY = 0.02
REACH = 127


class Planes:
    """A family's cells as bases and planes, at several capacities."""

    def __init__(self, cells: Cells, webp_bytes: int, progress: Progress) -> None:
        self.cells, self.webp_bytes = cells, webp_bytes
        progress("measuring the cells", 0.0)
        samples = [cells.sample(at) for at in range(len(cells))]
        looks = len(cells.content.looks)
        self._table = Table(learn([one for one in samples if len(one.colours)], looks), samples)
        progress("learning the colours that move", 0.2)
        many = [one for one in samples if len(one.looks) > 1]
        self._moving = np.concatenate([self._table.filled(one) for one in many])
        self._series: dict[Trial, tuple[Doubles, int]] = {}

    def trials(self, progress: Progress) -> list[Trial]:
        """For each number of moving colours the finest quality within the bytes, judged."""
        some = trial_cells(self.cells)
        tables = [self.cells.table(at, self._table) for at in some]
        additive = additive_span(self.cells.content.looks)
        most = 3 * (self._moving.shape[1] - 1)
        counts = [one for one in COUNTS if one <= most]
        for done, count in enumerate(counts):
            progress(f"trying {count} moving colours", 0.3 + 0.3 * done / len(counts))
            found = moving_series(self._moving, additive, count)
            fitted = [_pictures(own, found, self.cells.gallery) for own in tables]
            trial, quality = self._tried(some, fitted, found)
            self._series[trial] = found, quality
        return list(self._series)

    def make(self, trial: Trial, progress: Progress) -> tuple[Made, int]:
        """The whole family as in ``trial``; and the quality that all cells together allow."""
        series, quality = self._series[trial]
        step = np.zeros(len(series))
        bases, planes = [], []
        for at in range(len(self.cells)):
            progress(
                f"fitting cell {at + 1} of {len(self.cells)}", 0.6 + 0.3 * at / len(self.cells)
            )
            table = self.cells.table(at, self._table)
            base, levels = _pictures(table, series, self.cells.gallery)
            step = np.maximum(step, np.abs(levels).max(axis=(1, 2)) / REACH)
            bases.append(base)
            planes.append(levels.astype(np.float32))
        step = np.maximum(step, 1.0)
        progress("writing the pictures", 0.9)
        kept = [_quantised(one, step) for one in planes]
        stacks, quality = _packed(bases, kept, quality, SHARE * self.webp_bytes)
        return Made(series, network_of(self.cells.gallery, step, stacks, in_inks=False)), quality

    def _tried(
        self, some: Sequence[int], fitted: Sequence[tuple[Bytes, Doubles]], series: Doubles
    ) -> tuple[Trial, int]:
        bases = np.stack([base for base, _ in fitted])
        levels = np.stack([own for _, own in fitted])
        step = np.maximum(np.abs(levels).max(axis=(0, 2, 3)) / REACH, 1.0)
        planes = np.stack([_quantised(own, step) for own in levels])

        def size(quality: int) -> float:
            return sum(map(len, _streams(bases, planes, quality, TRIAL_SPEED))) / len(bases)

        budget = SHARE * self.webp_bytes / len(self.cells)
        above = bisect.bisect_right(QUALITIES, budget, key=size)
        quality = QUALITIES[max(above - 1, 0)]
        streams = _streams(bases, planes, quality, TRIAL_SPEED)
        network = network_of(self.cells.gallery, step, [(len(bases), *streams)], in_inks=False)
        found = scores(self.cells, network, series, [(at, here) for here, at in enumerate(some)])
        way = f"as pictures, {len(series)} moving colours, quality {quality}"
        size_each = sum(map(len, streams)) / len(bases)
        return Trial(way, size_each, float(np.median(found)), min(found)), quality


def _pictures(table: Doubles, series: Doubles, gallery: Gallery) -> tuple[Bytes, Doubles]:
    """A cell's base, (height, width, 3), and planes, (series, height, width)."""
    own = drawn(table, series)
    base = np.rint(own.base.clip(0, 255)).astype(np.uint8)
    size = (gallery.height, gallery.width)
    return base.reshape(*size, 3), own.planes.T.reshape(-1, *size)


def _quantised(levels: NDArray[np.floating], step: Doubles) -> Bytes:
    return np.rint(levels / step[:, None, None] + ZERO).clip(0, 255).astype(np.uint8)


def _streams(bases: Bytes, planes: Bytes, quality: int, speed: int) -> tuple[Bytes, Bytes]:
    flat = planes.reshape(-1, *planes.shape[2:])
    return pack(bases, quality, speed), pack(flat, quality, speed)


def _packed(
    bases: Sequence[Bytes], planes: Sequence[Bytes], quality: int, budget: float
) -> tuple[list[Stack], int]:
    """All cells' stacks at the finest quality found whose bytes lie within ``budget``, else at the
    coarsest tried; more cells in a stack cost less each than the trial's few."""
    found: list[tuple[bool, int, list[Stack]]] = []
    for _ in range(MOST_PACKINGS):
        stacks = _stacks(bases, planes, quality)
        size = sum(len(base) + len(shared) for _, base, shared in stacks)
        found.append((size <= budget, quality if size <= budget else -quality, stacks))
        better = int(quality + np.log(budget / size) / BYTES_PER_QUALITY)
        if better == quality or (size <= budget and better <= quality + 1):
            break
        quality = int(np.clip(better, QUALITIES[0], QUALITIES[-1]))
    _, at, stacks = max(found, key=lambda one: one[:2])
    return stacks, abs(at)


def _stacks(bases: Sequence[Bytes], planes: Sequence[Bytes], quality: int) -> list[Stack]:
    at_once = stack_size(planes[0].shape[0] * planes[0].shape[1])
    stacks = []
    for first in range(0, len(bases), at_once):
        own = slice(first, first + at_once)
        streams = _streams(np.stack(bases[own]), np.stack(planes[own]), quality, SPEED)
        stacks.append((len(bases[own]), *streams))
    return stacks
