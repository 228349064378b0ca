"""What the fingerprint accepts and refuses, measured: the two distributions and their margin.

Harmless drift and every default encoding must be accepted; every other picture of the gallery
and every kind of damage must be refused. Approved pictures are those that `model` generates of
the gallery, under its masks; or the gallery's own under masks found from it: the pixels that vary
with an attribute.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import permutations
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench._damage import (
    NoiseField,
    Pixels,
    drift,
    noisy,
    recoloured,
    shifted,
    truncated,
)
from bench._regions import Regions
from kvsync.property import read_property
from kvsync.rendition import Still
from origin.gallery import Gallery, read_gallery
from origin.training.payload_fit import fitted_job
from regional_gpu.generator.encode import decode, encode
from regional_gpu.generator.fingerprint import SIDE, compare, fingerprint, judge, measure, reduce
from regional_gpu.generator.load import Generator, Job, load

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "origin/samples/rumba"
MODEL = SAMPLE / "model"
PROPERTY = ROOT / "deploy/properties/rumba.toml"
DIRECTIONS = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]
BLOCKS = (16, 24, 32, 40, 48, 56, 64)
NOISE_DB = (28, 30, 32, 34)
# Root mean square difference of two seeds' pictures from which a seed counts as showing: below
# it they are nearer than drift and encoders bring them.
SHOWS_LEVELS = 4.0
_HALF = 128
_LEAST_AREA = 0.01
_DRIFT_LEVELS = 2


@dataclass(frozen=True)
class Approved:
    """One approved picture with the masks of its view, and by attribute, at full size, where a mask
    covers at least half of a pixel; of those masks that cover a hundredth of the picture."""

    view: str
    picture: Callable[[], Pixels]
    masks: NDArray[np.uint8]
    regions: dict[str, NDArray[np.bool_]]


@dataclass
class Case:
    """Every distance measured for one kind of change."""

    accept: bool | None  # None: reported only, to find where refusing begins
    distances: list[float] = field(default_factory=list)
    extreme: float = 0.0  # the largest distance of what must be accepted, else the smallest
    worst: str = ""  # the part of the fingerprint that decided there

    def add(self, distance: float, part: str) -> None:
        self.distances.append(distance)
        extreme = self.extreme if len(self.distances) > 1 else distance
        if distance >= extreme if self.accept else distance <= extreme:
            self.extreme, self.worst = distance, part

    @property
    def accepted(self) -> int:
        return sum(distance <= 1 for distance in self.distances)

    @property
    def wrong(self) -> int:
        if self.accept is None:
            return 0
        return len(self.distances) - self.accepted if self.accept else self.accepted


Cases = dict[str, Case]
Change = tuple[str, bool | None, Callable[[], Pixels | None]]


def run(
    full: bool = False,
    gallery: Annotated[Path, typer.Option(help="The folder of its manifest.")] = SAMPLE,
    model: Annotated[Path, typer.Option(help="The model folder that generates.")] = MODEL,
    generated: Annotated[
        bool, typer.Option(help="--no-generated: the gallery, under masks found from it.")
    ] = True,
    seeded: Annotated[
        Path | None, typer.Option(help="A model whose seeds show, with --seeded-gallery.")
    ] = None,
    seeded_gallery: Annotated[
        Path | None, typer.Option(help="Where its prompts come from.")
    ] = None,
) -> dict[str, object]:
    """Measure on every ninth asset, or with `full` on all; prints tables, returns the figures."""
    images = read_gallery(gallery)
    assets = approved_gallery(images, load(model) if generated else None)
    cases: Cases = {}
    noise = NoiseField((images.height, images.width, 3), seed=7)
    _every_other_asset(assets, noise, cases)
    other_seeds(load(seeded or model), read_gallery(seeded_gallery or gallery), cases, full=full)
    for approved in track(assets[:: 1 if full else 9], "damaging pictures", transient=True):
        _damage(approved, noise, cases)
    figures = _figures(cases)
    figures["generated"] = generated
    figures["compare_ms"] = _compare_ms(assets[0])
    figures["bytes"] = len(fingerprint(assets[0].picture(), assets[0].masks))
    _print(cases, figures)
    return figures


def approved_gallery(gallery: Gallery, generator: Generator | None) -> list[Approved]:
    """The gallery's pictures under masks found from it, or the generator's with its own masks: as
    they are dehydrated, so that a shot is fitted first."""
    regions, found = Regions(gallery), []
    for asset in track(gallery.assets, "approving", transient=True):
        own = regions.of(asset.attributes)
        view = ", ".join(asset.attributes[name] for name in regions.layout_by)
        if generator is None:
            nowhere = np.zeros((gallery.height, gallery.width), np.bool_)
            masks = np.stack([_coverage(own.get(name, nowhere)) for name in gallery.attributes])
            picture = partial(gallery.pixels, asset)
        else:
            prompt = gallery.prompt(asset.attributes)
            job = Job(prompt, 0, gallery.width, gallery.height, 1, "Euler", 1.0)
            job = fitted_job(generator, job, gallery.pixels(asset))
            masks, picture = generator.masks(prompt), partial(_generate, generator, job)
        shown = _large(gallery, masks)
        found.append(Approved(view, picture, masks, shown))
    return found


def _large(gallery: Gallery, masks: NDArray[np.uint8]) -> dict[str, NDArray[np.bool_]]:
    cells = np.ix_(*(np.arange(n) * SIDE // n for n in (gallery.height, gallery.width)))
    regions = {
        name: mask[cells] >= _HALF for name, mask in zip(gallery.attributes, masks, strict=True)
    }
    return {name: region for name, region in regions.items() if region.mean() >= _LEAST_AREA}


def _generate(generator: Generator, job: Job) -> Pixels:
    return generator.generate([job])[0]


def _coverage(region: NDArray[np.bool_]) -> NDArray[np.uint8]:
    height, width = region.shape
    cells = region.reshape(SIDE, height // SIDE, SIDE, width // SIDE).mean(axis=(1, 3))
    return np.asarray((cells * 255).round().astype(np.uint8))


def _every_other_asset(assets: list[Approved], noise: NoiseField, cases: Cases) -> None:
    """Every ordered pair of different assets, the other one as it is and with drift."""
    pictures = [asset.picture() for asset in track(assets, "reading the gallery", transient=True)]
    approved = [fingerprint(p, a.masks) for p, a in zip(pictures, assets, strict=True)]
    for name, change in (
        ("another asset", partial(np.copy)),
        ("another asset with drift of 2", partial(drift, noise=noise, levels=2)),
    ):
        case = _case(cases, name, False)
        cells = [reduce(change(p)) for p in track(pictures, f"{name}: reducing", transient=True)]
        masks = {asset.view: asset.masks for asset in assets}
        seen = {view: [measure(c, m) for c in cells] for view, m in masks.items()}
        for mine, asset in enumerate(track(assets, name, transient=True)):
            for other, measures in enumerate(seen[asset.view]):
                if other != mine:
                    found = judge(measures, approved[mine])
                    case.add(found.distance, found.worst)


def other_seeds(generator: Generator, gallery: Gallery, cases: Cases, *, full: bool) -> None:
    """Each of four seeds' pictures against every other's, where the two can be told apart."""
    for asset in gallery.assets[:: 1 if full else 9]:
        prompt = gallery.prompt(asset.attributes)
        masks = generator.masks(prompt)
        jobs = [
            Job(prompt, seed, gallery.width, gallery.height, 1, "Euler", 1.0) for seed in range(4)
        ]
        pictures = generator.generate(jobs)
        approved = [fingerprint(picture, masks) for picture in pictures]
        for mine, other in permutations(range(4), 2):
            off = pictures[mine].astype(np.float32) - pictures[other]
            if float(np.sqrt(np.square(off).mean())) < SHOWS_LEVELS:
                continue
            found = compare(pictures[other], masks, approved[mine])
            _case(cases, "another seed, where it shows", False).add(found.distance, found.worst)


def _damage(approved: Approved, noise: NoiseField, cases: Cases) -> None:
    original = approved.picture()
    kept = fingerprint(original, approved.masks)
    for name, accept, change in (
        *_harmless(original, noise),
        *_moves(original),
        *_spoils(original, noise),
        *_recolours(original, approved.regions, noise.rng),
        *_blocks(original, noise),
    ):
        pixels = change()
        # White rows cut off a white background, say: what is no more than drift is no damage.
        if pixels is not None and (accept or _differs(pixels, original)):
            found = compare(np.ascontiguousarray(pixels), approved.masks, kept)
            _case(cases, name, accept).add(found.distance, found.worst)


def _differs(pixels: Pixels, original: Pixels) -> bool:
    if pixels.shape != original.shape:
        return True
    return int(np.abs(pixels.astype(np.int16) - original).max()) > _DRIFT_LEVELS


def _off_by(pixels: Pixels, original: Pixels) -> float:
    """Levels, on average over the rows that are not the same; 0 where all are."""
    off = np.abs(pixels.astype(np.int16) - original)
    rows = off[off.any(axis=(1, 2))]
    return float(rows.mean()) if rows.size else 0.0


def _case(cases: Cases, name: str, accept: bool | None) -> Case:
    return cases.setdefault(name, Case(accept))


def _harmless(original: Pixels, noise: NoiseField) -> Iterator[Change]:
    for levels in range(1, _DRIFT_LEVELS + 1):
        for _ in range(5):
            yield f"drift of {levels}", True, partial(drift, original, noise, levels)
    for rule in read_property(PROPERTY).renditions.formats:
        for width in (768, 384):
            still = Still(rule.format, width, rule.quality)
            name = f"{rule.format} q{rule.quality}" + (" at half width" if width == 384 else "")
            # At half width halved chroma thins fine attributes: reported only.
            accept = True if width == 768 else None
            yield name, accept, partial(_through, original, still)


def _through(pixels: Pixels, still: Still) -> Pixels:
    return decode(encode(pixels, still).data)


def _moves(original: Pixels) -> Iterator[Change]:
    for step in (1, 2, 3, 4, 6):
        for down, right in DIRECTIONS:
            refused = False if step >= 4 else None
            change = partial(shifted, original, down * step, right * step)
            yield f"shift by {step}", refused, change
    yield "mirror", False, lambda: original[:, ::-1]
    yield "upside down", False, lambda: original[::-1]
    for name, pixels in truncated(original):
        # On average no further off than drift may be: not told from it, so reported only.
        near = _off_by(pixels, original) <= _DRIFT_LEVELS
        title = f"5 % of rows {name}" + (", which they nearly are" if near else "")
        yield title, None if near else False, partial(np.copy, pixels)


def _spoils(original: Pixels, noise: NoiseField) -> Iterator[Change]:
    for decibels in NOISE_DB:
        refused = False if decibels <= 28 else None
        change = partial(noisy, original, noise, decibels)
        yield f"noise of {decibels} dB", refused, change
        yield f"grey noise of {decibels} dB", refused, partial(change, grey=True)


def _recolours(
    original: Pixels, regions: dict[str, NDArray[np.bool_]], rng: np.random.Generator
) -> Iterator[Change]:
    for name, region in regions.items():
        for _ in range(4):
            direction = rng.standard_normal(3)
            direction /= np.linalg.norm(direction)
            for delta in (3.0, 5.0):
                refused = False if delta >= 5 else None
                change = partial(recoloured, original, region, direction, delta)
                yield f"{name} off by delta E {delta:.0f}", refused, change


def _blocks(original: Pixels, noise: NoiseField) -> Iterator[Change]:
    height, width = original.shape[:2]
    for size in BLOCKS:
        for kind in ("black", "noise"):
            refused = False if size >= 64 else None
            for _ in range(100 if size == 64 else 20):
                top = int(noise.rng.integers(height - size + 1))
                left = int(noise.rng.integers(width - size + 1))
                change = partial(_with_block, original, noise.rng, kind, top, left, size)
                yield f"{kind} block of {size}", refused, change


def _with_block(
    pixels: Pixels, rng: np.random.Generator, kind: str, top: int, left: int, size: int
) -> Pixels:
    made = pixels.copy()
    block = made[top : top + size, left : left + size]
    block[:] = 0 if kind == "black" else rng.integers(0, 256, block.shape)
    return made


def _figures(cases: Cases) -> dict[str, object]:
    accepts = [d for case in cases.values() if case.accept for d in case.distances]
    rejects = [d for case in cases.values() if case.accept is False for d in case.distances]
    return {
        "pairs": sum(len(case.distances) for case in cases.values()),
        "accept_pairs": len(accepts),
        "reject_pairs": len(rejects),
        "false_rejects": sum(case.wrong for case in cases.values() if case.accept),
        "false_accepts": sum(case.wrong for case in cases.values() if case.accept is False),
        "accept_max": round(max(accepts), 3),
        "reject_min": round(min(rejects), 3),
        "smallest_shift_px": _smallest(cases, "shift by {}", (1, 2, 3, 4, 6)),
        "smallest_black_block_px": _smallest(cases, "black block of {}", BLOCKS),
        "smallest_noise_block_px": _smallest(cases, "noise block of {}", BLOCKS),
    }


def _smallest(cases: Cases, name: str, sizes: tuple[int, ...]) -> int | None:
    """The smallest size that, like all larger ones, was refused every time."""
    refused = None
    for size in sorted(sizes, reverse=True):
        if cases[name.format(size)].accepted:
            break
        refused = size
    return refused


def _compare_ms(approved: Approved) -> float:
    pixels = approved.picture()
    kept = fingerprint(pixels, approved.masks)
    times = []
    for _ in range(50):
        start = time.thread_time()
        compare(pixels, approved.masks, kept)
        times.append(time.thread_time() - start)
    return round(median(times) * 1000, 2)


def _print(cases: Cases, figures: dict[str, object]) -> None:
    table = Table(title="Distance to the approved fingerprint (1.0 is the tolerance)")
    for heading in (
        "change",
        "expected",
        "pairs",
        "least",
        "median",
        "most",
        "accepted",
        "decided by",
    ):
        table.add_column(
            heading, justify="left" if heading in ("change", "decided by") else "right"
        )
    expected = {True: "accept", False: "refuse", None: "-"}
    for name, case in cases.items():
        d = case.distances
        table.add_row(
            f"[red]{name}[/]" if case.wrong else name,
            expected[case.accept],
            f"{len(d):,}",
            f"{min(d):.2f}",
            f"{median(d):.2f}",
            f"{max(d):.2f}",
            f"{case.accepted:,}",
            case.worst,
        )
    console = Console()
    console.print(table)
    for name, value in figures.items():
        console.print(f"{name}: {value}")


if __name__ == "__main__":
    typer.run(run)
