"""Which encoder settings and quality each delivered format should have.

For every encoder setting, the smallest quality whose delivered SSIMULACRA2 (the decoded file
against the lossless master, median over the sample) reaches the format's goal; of those within
the encode budget, the smallest file wins. What is encoded are the pixels that a model generates,
as in life, or the masters themselves: the ceiling. Beside the sweep stands what is shipped.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from itertools import product
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench._regions import Region, Regions
from kvsync.property import read_property
from kvsync.rendition import FormatRule
from origin.gallery import read_gallery
from regional_gpu.generator.colour import delta_e2000
from regional_gpu.generator.encode import ENCODERS, EncoderSettings, decode, encode_as
from regional_gpu.generator.load import Job, load
from regional_gpu.generator.score import ssimulacra2

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "origin/samples/rumba"
MODEL = SAMPLE / "model"
PROPERTY = ROOT / "deploy/properties/rumba.toml"
TIMED_ENCODINGS = 2


@dataclass(frozen=True)
class Goal:
    """`score`: delivered SSIMULACRA2, median. `encode_ms`: of one picture on one core."""

    score: float
    encode_ms: float


GOALS = {"jpeg": Goal(87, 5), "webp": Goal(85, 40), "avif": Goal(85, 40)}

CANDIDATES: dict[str, list[EncoderSettings]] = {
    "jpeg": [
        {"subsampling": chroma, "optimize": optimize}
        for chroma, optimize in product(("4:2:0", "4:4:4"), (False, True))
    ],
    "webp": [{"method": method} for method in (1, 2, 4)],
    "avif": [
        {"speed": speed, "subsampling": chroma, "max_threads": 1}
        for speed, chroma in product((9, 8), ("4:2:0", "4:4:4"))
    ],
}


@dataclass(frozen=True)
class Picture:
    """What is encoded, the lossless master that it is scored against, (height, width, 3) each,
    and where each attribute shows, (height, width)."""

    master: NDArray[np.uint8]
    pixels: NDArray[np.uint8]
    regions: dict[str, Region]


@dataclass(frozen=True)
class Row:
    """One encoder setting at one quality; ``delta_e`` is the median over image and attribute of
    the mean ΔE2000 inside the attribute's region."""

    format: str
    settings: EncoderSettings
    quality: int
    score: float
    score_min: float
    delta_e: float
    bytes: int
    encode_ms: float
    reaches_goal: bool
    within_budget: bool


def run(
    full: bool = False,
    model: Annotated[
        Path, typer.Option(help="The model folder whose pictures are encoded.")
    ] = MODEL,
    generated: Annotated[
        bool, typer.Option(help="--no-generated: encode the masters themselves.")
    ] = True,
) -> dict[str, object]:
    """Sweep three pictures, or with `full` all twelve; prints a table, returns the figures."""
    torch.set_num_threads(2)
    pictures = list(_pictures(model if generated else None))[:: 1 if full else 4]
    rules: dict[str, FormatRule] = {
        rule.format: rule for rule in read_property(PROPERTY).renditions.formats
    }
    rows = [
        smallest(rule.format, settings, pictures, rule.quality)
        for rule in rules.values()
        for settings in track(CANDIDATES[rule.format], rule.format, transient=True)
    ]
    chosen = {form: choose(row for row in rows if row.format == form) for form in rules}
    shipped = [
        measure(rule.format, rule.quality, ENCODERS[rule.format], pictures)
        for rule in rules.values()
    ]
    _print("Smallest quality that reaches each format's goal (* chosen)", rows, chosen)
    _print("As shipped", shipped)
    return {
        "pictures": len(pictures),
        "generated": generated,
        "rows": [asdict(row) for row in rows],
        "shipped": [asdict(row) for row in shipped],
        "chosen": {form: asdict(row) if row else None for form, row in chosen.items()},
    }


def smallest(form: str, settings: EncoderSettings, pictures: list[Picture], start: int) -> Row:
    """The setting at the smallest quality that reaches the goal of `form`, sought from `start`."""

    @cache
    def at(quality: int) -> Row:
        return measure(form, quality, settings, pictures)

    return at(boundary(lambda quality: at(quality).reaches_goal, start))


def boundary(reaches: Callable[[int], bool], start: int) -> int:
    """The smallest quality, 1 to 100, that `reaches` a goal though the next lower does not.

    Steps away from `start` double, then the gap is halved: a good start costs two measurements.
    100 when none reaches it.
    """
    step, low, high = 1, start - 1, start
    if reaches(start):
        while low > 0 and reaches(low):
            step *= 2
            low, high = max(low - step, 0), low
    else:
        low, high = start, min(start + 1, 100)
        while high < 100 and not reaches(high):
            step *= 2
            low, high = high, min(high + step, 100)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


def measure(form: str, quality: int, settings: EncoderSettings, pictures: list[Picture]) -> Row:
    scores, colours, sizes, times = [], [], [], []
    for picture in pictures:
        image, best = Image.fromarray(picture.pixels), float("inf")
        for _ in range(TIMED_ENCODINGS):
            # The thread's own processor time, so that other work on the machine does not count.
            start = time.thread_time()
            data = encode_as(image, form, quality, settings).data
            best = min(best, time.thread_time() - start)
        times.append(best * 1000)
        sizes.append(len(data))
        decoded = decode(data)
        scores.append(ssimulacra2(picture.master, decoded))
        colours += [
            delta_e2000(picture.master, decoded, region) for region in picture.regions.values()
        ]
    score, goal = median(scores), GOALS[form]
    return Row(
        form,
        settings,
        quality,
        round(score, 2),
        round(min(scores), 2),
        round(median(colours), 2),
        round(median(sizes)),
        round(median(times), 1),
        reaches_goal=score >= goal.score,
        within_budget=median(times) <= goal.encode_ms,
    )


def choose(rows: Iterable[Row]) -> Row | None:
    """The smallest file that meets both goals; where none does, no default can be claimed."""
    good = [row for row in rows if row.reaches_goal and row.within_budget]
    return min(good, key=lambda row: row.bytes, default=None)


def _pictures(model: Path | None) -> Iterator[Picture]:
    gallery = read_gallery(SAMPLE)
    generator = load(model) if model else None
    regions = Regions(gallery)
    for asset in gallery.assets:
        path = (SAMPLE / "masters" / Path(asset.file).name).with_suffix(".png")
        if path.is_file():
            master = decode(path.read_bytes(), str(path))
            pixels = master
            if generator:
                height, width = master.shape[:2]
                prompt = gallery.prompt(asset.attributes)
                (pixels,) = generator.generate([Job(prompt, 0, width, height, 1, "Euler", 1.0)])
            yield Picture(master, pixels, regions.of(asset.attributes))


def _print(title: str, rows: list[Row], chosen: Mapping[str, Row | None] | None = None) -> None:
    table = Table(title=title)
    for heading in ("format", "settings", "quality", "score", "worst", "ΔE", "bytes", "ms"):
        table.add_column(heading, justify="left" if heading in ("format", "settings") else "right")
    for row in rows:
        table.add_row(
            row.format + ("*" if chosen and chosen[row.format] == row else ""),
            " ".join(f"{key}={value}" for key, value in row.settings.items()),
            str(row.quality),
            f"{row.score:.1f}" + ("" if row.reaches_goal else " below goal"),
            f"{row.score_min:.1f}",
            f"{row.delta_e:.2f}",
            f"{row.bytes:,}",
            f"{row.encode_ms:.1f}" + ("" if row.within_budget else " over"),
        )
    console = Console()
    console.width = max(console.width, 120)  # one line a setting, also in a log
    console.print(table)


if __name__ == "__main__":
    typer.run(run)
