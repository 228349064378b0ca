"""Trains a family with content: its cells measured, the colours that move learnt over all of
them, and capacity chosen by what trial cells score within the bytes that the family may cost."""

import bisect
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from origin.gallery import Gallery
from origin.training.colour_table import Points, Table, kinds, learn
from origin.training.measure import Content, additive_span
from origin.training.moving_colours import Doubles, drawn, moving_series
from regional_gpu.generator.content_network import ZERO, ContentNetwork
from regional_gpu.generator.content_pictures import SPEED, pack, stack_size
from regional_gpu.generator.network import TextNetwork
from regional_gpu.generator.score import ssimulacra2

Progress = Callable[[str, float], None]
Bytes = NDArray[np.uint8]
Stack = tuple[int, Bytes, Bytes]  # cells, the stream of their bases, of their planes

# Of the gallery as WebP at this quality: what a model may hold.
SHARE = 0.19
WEBP_QUALITY = 80
COUNTS = (1, 2, 3, 4, 6, 8)
QUALITIES = range(30, 91, 4)
TRIAL_CELLS = 8
TRIAL_IMAGES = 2  # of each
TRIAL_SPEED = 6
# How many times all cells are packed to find the quality, and how bytes grow with it (logarithm).
MOST_PACKINGS = 3
BYTES_PER_QUALITY = 0.02
# Kinds of points by which a cell tells of others.
KINDS = 700
MOVES = 2
REACH = 127


@dataclass(frozen=True)
class Trial:
    """What one capacity gave on the trial cells."""

    series: int
    quality: int
    bytes_per_cell: float
    median: float  # SSIMULACRA2 against the gallery's own files
    worst: float

    @property
    def merit(self) -> float:
        return self.median + self.worst


@dataclass(frozen=True)
class ContentTaken:
    """What was measured of a family with content, and chosen."""

    content: Content
    looks_by: tuple[str, ...]  # the attributes that only colour
    single: int  # cells of which the gallery has one image: their base is that image, coded
    gallery_webp_bytes: int  # estimated from a sample
    chosen: Trial
    quality: int  # of all cells together, which cost less than the trial cells did
    trials: tuple[Trial, ...]


class _Cells:
    """A gallery's cells, read one at a time."""

    def __init__(self, gallery: Gallery, content: Content, seed: int) -> None:
        self.gallery, self.content = gallery, content
        self.rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self.content.cells)

    def members(self, cell: int) -> list[int]:
        return [at for at, own in enumerate(self.content.cell_of) if own == cell]

    def points(self, cell: int) -> Points:
        members = self.members(cell)
        pixels = [self.gallery.pixels(self.gallery.assets[at]).reshape(-1, 3) for at in members]
        looks = [self.content.look_of[at] for at in members]
        return Points.of(np.stack(pixels).astype(np.float64), looks)

    def sample(self, cell: int) -> Points:
        """One point of each kind of those that move, or of any where only one look is known."""
        points = self.points(cell)
        moves = np.ptp(points.colours, axis=1).max(axis=-1) > MOVES
        colours = points.colours[moves] if len(points.looks) > 1 else points.colours
        first, _ = kinds(colours)
        some = self.rng.permutation(first)[:KINDS]
        return Points(points.looks, colours[some])

    def table(self, cell: int, table: Table) -> Doubles:
        """The cell's points' colours in all looks, (points, looks, 3)."""
        points = self.points(cell)
        moves = np.ptp(points.colours, axis=1).max(axis=-1) > MOVES
        if len(points.looks) == 1:
            moves[:] = True
        looks = len(self.content.looks)
        every = np.repeat(points.colours.mean(axis=1)[:, None], looks, axis=1)
        every[:, list(points.looks)] = points.colours
        colours = points.colours[moves]
        if len(colours) and len(points.looks) < looks:
            first, of = kinds(colours)
            known = Points(points.looks, colours[first])
            change = table.filled(known) - np.mean(known.colours, axis=1, keepdims=True)
            every[moves] = change[of] + colours.mean(axis=1, keepdims=True)
            every[:, list(points.looks)] = points.colours
        return every


def make_content(
    gallery: Gallery, content: Content, folder: Path, progress: Progress, seed: int
) -> ContentTaken:
    """Train a family with content and write its model into the empty ``folder``."""
    cells = _Cells(gallery, content, seed)
    progress("measuring the cells", 0.0)
    samples = [cells.sample(at) for at in range(len(cells))]
    looks = len(content.looks)
    table = Table(learn([one for one in samples if len(one.colours)], looks), samples)
    progress("learning the colours that move", 0.15)
    moving = np.concatenate([table.filled(one) for one in samples if len(one.looks) > 1])
    additive = additive_span(content.looks)
    webp = _webp_bytes(gallery)
    progress("choosing capacity", 0.3)
    series, trials = _choose(cells, table, moving, additive, SHARE * webp / len(cells))
    chosen = max(trials, key=lambda trial: (_fits(trial, webp, len(cells)), trial.merit))
    best = series[chosen.series]
    step = np.zeros(len(best))
    bases, planes = [], []
    for at in range(len(cells)):
        progress(f"fitting cell {at + 1} of {len(cells)}", 0.5 + 0.4 * at / len(cells))
        base, levels = _pictures(cells.table(at, table), best, gallery)
        step = np.maximum(step, np.abs(levels).max(axis=(1, 2)) / REACH)
        bases.append(base)
        planes.append(levels.astype(np.float32))
    step = np.maximum(step, 1.0)
    progress("writing the model", 0.9)
    kept = [_quantised(one, step) for one in planes]
    stacks, quality = _packed(bases, kept, chosen.quality, SHARE * webp)
    _write(folder, gallery, content, best, _network(gallery, step, stacks))
    single = sum(len(cells.members(at)) == 1 for at in range(len(cells)))
    looks_by = tuple(name for name in gallery.attributes if name not in content.by)
    return ContentTaken(content, looks_by, single, webp, chosen, quality, tuple(trials))


def _choose(
    cells: _Cells, table: Table, moving: Doubles, additive: Doubles, budget: float
) -> tuple[dict[int, Doubles], list[Trial]]:
    """Series by their number, and for each number the finest quality within ``budget``, judged."""
    some = np.unique(np.linspace(0, len(cells) - 1, min(TRIAL_CELLS, len(cells))).astype(int))
    tables = {int(at): cells.table(int(at), table) for at in some}
    most = 3 * (moving.shape[1] - 1)
    series: dict[int, Doubles] = {}
    trials = []
    for count in (one for one in COUNTS if one <= most):
        found = moving_series(moving, additive, count)
        series[count] = found
        fitted = {at: _pictures(own, found, cells.gallery) for at, own in tables.items()}
        trials.append(_tried(cells, fitted, found, count, budget))
    return series, trials


def _tried(
    cells: _Cells,
    fitted: dict[int, tuple[Bytes, Doubles]],
    series: Doubles,
    count: int,
    budget: float,
) -> Trial:
    bases = np.stack([base for base, _ in fitted.values()])
    levels = np.stack([own for _, own in fitted.values()])
    step = np.maximum(np.abs(levels).max(axis=(0, 2, 3)) / REACH, 1.0)
    planes = np.stack([_quantised(own, step) for own in levels])

    def size(quality: int) -> float:
        return sum(map(len, _streams(bases, planes, quality, TRIAL_SPEED))) / len(bases)

    above = bisect.bisect_right(QUALITIES, budget, key=size)
    quality = QUALITIES[max(above - 1, 0)]
    streams = _streams(bases, planes, quality, TRIAL_SPEED)
    network = _network(cells.gallery, step, [(len(bases), *streams)])
    scores = []
    for place, at in enumerate(fitted):
        members = cells.members(at)
        for member in members[:: max(1, len(members) // TRIAL_IMAGES)][:TRIAL_IMAGES]:
            look = series[:, cells.content.look_of[member]].reshape(1, -1)
            picture = network(torch.from_numpy(look.astype(np.float32)), place)[0].numpy()
            original = cells.gallery.pixels(cells.gallery.assets[member])
            scores.append(ssimulacra2(original, picture))
    return Trial(
        count, quality, sum(map(len, streams)) / len(bases), float(np.median(scores)), min(scores)
    )


def _fits(trial: Trial, webp: int, cells: int) -> bool:
    return trial.bytes_per_cell * cells <= SHARE * webp


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


def _network(gallery: Gallery, step: Doubles, stacks: Sequence[Stack]) -> ContentNetwork:
    sizes = [(count, len(base), len(planes)) for count, base, planes in stacks]
    network = ContentNetwork(gallery.width, gallery.height, len(step), sizes)
    streams = [stream for _, base, planes in stacks for stream in (base, planes)]
    network.pictures.copy_(torch.from_numpy(np.concatenate(streams)))
    network.step.copy_(torch.from_numpy(step))
    return network


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


def _write(
    folder: Path, gallery: Gallery, content: Content, series: Doubles, network: ContentNetwork
) -> None:
    # Imported late: diffusers takes seconds, and a mistake in the gallery should show at once.
    from regional_gpu.generator.content_family import save

    vocabulary = gallery.vocabulary(content.by, content.cells)
    codes = _codes(list(vocabulary.tokens), gallery, content, series)
    text = TextNetwork(*codes.shape)
    text.embedding.copy_(torch.from_numpy(codes.astype(np.float32)))
    save(folder, vocabulary, text, network)


def _codes(
    tokens: Sequence[tuple[str, str]], gallery: Gallery, content: Content, series: Doubles
) -> Doubles:
    """What each attribute value adds to each series' share, (tokens, series x 3)."""
    others = [name for name in gallery.attributes if name not in content.by]
    columns = np.array(
        [
            [name in others and look[others.index(name)] == value for name, value in tokens]
            for look in content.looks
        ],
        dtype=np.float64,
    )
    by_look = series.transpose(1, 0, 2).reshape(len(content.looks), -1)
    return np.asarray(np.linalg.pinv(columns, rcond=1e-6) @ by_look)


def _webp_bytes(gallery: Gallery) -> int:
    """The gallery's bytes as WebP, from a sample of its images."""
    some = gallery.assets[:: max(1, len(gallery.assets) // 40)]
    total = 0
    for asset in some:
        stream = io.BytesIO()
        Image.fromarray(gallery.pixels(asset)).save(stream, "WEBP", quality=WEBP_QUALITY, method=4)
        total += stream.tell()
    return total * len(gallery.assets) // len(some)
