"""Trains a family with content: its cells measured, the colours that move learnt over all of
them, and the way of drawing chosen by what trial cells score within the bytes it may cost."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from origin.gallery import Gallery
from origin.training.content_cells import Cells
from origin.training.content_drawings import draw_in_inks
from origin.training.content_model import SHARE, Made, Progress, Trial
from origin.training.content_planes import Planes
from origin.training.measure import Content
from origin.training.moving_colours import Doubles
from regional_gpu.generator.network import TextNetwork

WEBP_QUALITY = 80
# Inks that score this at worst leave nothing for pictures to win: those are not tried.
AMPLE = 85.0


@dataclass(frozen=True)
class ContentTaken:
    """What was measured of a family with content, and chosen."""

    content: Content
    looks_by: tuple[str, ...]  # the attributes that only colour
    single: int  # cells of which the gallery has one image: their base is that image, coded
    gallery_webp_bytes: int  # estimated from a sample
    chosen: Trial
    series: int  # moving colours
    quality: int | None  # of all cells' pictures together; they cost less than the trial cells did
    trials: tuple[Trial, ...]


def make_content(
    gallery: Gallery,
    whole: Gallery,
    content: Content,
    folder: Path,
    progress: Progress,
    seed: int,
) -> ContentTaken:
    """Train a family with content and write its model into the empty ``folder``.

    The model may cost a share of ``whole`` as WebP: a cell costs nearly the same with fewer images.
    """

    def told(doing: str, done: float) -> None:
        progress(doing, 0.4 + 0.5 * done)

    cells = Cells(gallery, content, seed)
    webp = _webp_bytes(whole)
    in_inks = draw_in_inks(cells, webp, lambda doing, done: progress(doing, 0.4 * done))
    trials = [in_inks[1]] if in_inks else []
    quality = None
    if in_inks and in_inks[1].worst >= AMPLE:
        made, chosen = in_inks
    else:
        planes = Planes(cells, webp, told)
        trials += planes.trials(told)
        chosen = max(trials, key=lambda trial: (_fits(trial, webp, len(cells)), trial.merit))
        if in_inks and chosen is in_inks[1]:
            made = in_inks[0]
        else:
            made, quality = planes.make(chosen, told)
    progress("writing the model", 0.9)
    _write(folder, gallery, content, made)
    single = sum(len(cells.members(at)) == 1 for at in range(len(cells)))
    looks_by = tuple(name for name in gallery.attributes if name not in content.by)
    counts = (single, webp, chosen, len(made.series), quality)
    return ContentTaken(content, looks_by, *counts, tuple(trials))


def _fits(trial: Trial, webp: int, cells: int) -> bool:
    return trial.bytes_per_cell * cells <= SHARE * webp


def _write(folder: Path, gallery: Gallery, content: Content, made: Made) -> None:
    # Imported late: diffusers takes seconds, and a mistake in the gallery should show at once.
    from regional_gpu.generator.content_family import save

    vocabulary = gallery.vocabulary(content.by, content.cells)
    codes = _codes(list(vocabulary.tokens), gallery, content, made.series)
    text = TextNetwork(*codes.shape)
    text.embedding.copy_(torch.from_numpy(codes.astype(np.float32)))
    save(folder, vocabulary, text, made.network)


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
