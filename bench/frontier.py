"""Fidelity against bytes and against cost an image: codecs, a closed-form floor, our model.

What codecs make of the lossless masters, what twelve principal components a view give, and what
the model draws, all scored against the masters. `--out docs/frontier.svg` draws the picture. JPEG
XL needs the package `pillow-jxl-plugin` (extra `dev`) and is left out without it.
"""

import importlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench._plot import Curve, Panel, draw
from bench._references import Subject, subjects
from kvsync.files import write_file
from origin.gallery import Asset, Gallery, read_gallery
from origin.training.layouts import design
from regional_gpu.generator.load import Generator, Job, load
from regional_gpu.generator.model_folder import describe
from regional_gpu.generator.score import ssimulacra2

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "origin/samples/rumba"
QUALITIES: Final[dict[str, tuple[int, ...]]] = {
    "JPEG": (60, 75, 85, 92, 96),
    "WEBP": (60, 75, 85, 92, 97),
    "AVIF": (45, 60, 75, 85, 92),
    "JXL": (60, 75, 85, 92, 95),
}
SETTINGS: Final[dict[str, dict[str, int | str]]] = {"AVIF": {"speed": 6}, "JXL": {"effort": 7}}
COMPONENTS: Final = 12
RECORD_BYTES: Final = 512
DOLLARS_PER_GB: Final = 0.05
DOLLARS_PER_CORE_HOUR: Final = 0.04
DOLLARS_PER_GPU_HOUR: Final = 3.0
# Measured by others: ONNX Runtime on an A100 at $2/h, batch 4 (docs/generator.md).
SD_TURBO_DOLLARS: Final = 2.0 / 3600 / 33
LOWEST, HIGHEST = 60.0, 95.0

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Point:
    """Medians over the masters: bytes an image (a model's are shared by the gallery's images),
    and dollars for one more image in a region."""

    way: str
    quality: str
    score: float
    bytes: float
    dollars: float | None


def run(
    full: bool = False,
    out: Annotated[Path | None, typer.Option(help="Draw the picture here.")] = None,
    model: Annotated[Path, typer.Option(help="The model folder.")] = SAMPLE / "model",
    gpu_images_per_s: Annotated[
        float | None, typer.Option(help="As `bench gpu` measured it on a GPU at $3/h.")
    ] = None,
) -> dict[str, object]:
    """Three masters, or with `full` all twelve."""
    gallery = read_gallery(SAMPLE)
    chosen = subjects(gallery, SAMPLE)[:: 1 if full else 4]
    masters = [gallery.pixels(subject.reference) for subject in chosen]
    points = [
        _coded(form, quality, masters)
        for form, qualities in _codecs().items()
        for quality in track(qualities, form, transient=True)
    ]
    points.append(_floor(gallery, chosen, masters))
    points += _ours(gallery, chosen, masters, model, gpu_images_per_s)
    _print(points)
    if out is not None:
        write_file(out, _picture(points).encode())
    return {"pictures": len(masters), "points": [vars(point) for point in points]}


def _codecs() -> dict[str, tuple[int, ...]]:
    """The formats that can be written here, with their qualities."""
    try:
        importlib.import_module("pillow_jxl")  # registers itself with Pillow
    except ImportError:
        return {form: qualities for form, qualities in QUALITIES.items() if form != "JXL"}
    return QUALITIES


def _coded(form: str, quality: int, masters: Sequence[Pixels]) -> Point:
    scores, sizes = [], []
    for master in masters:
        buffer = BytesIO()
        Image.fromarray(master).save(buffer, form, quality=quality, **SETTINGS.get(form, {}))
        with Image.open(BytesIO(buffer.getvalue())) as decoded:
            scores.append(ssimulacra2(master, np.asarray(decoded.convert("RGB"))))
        sizes.append(buffer.tell())
    size = median(sizes)
    return Point(form, str(quality), median(scores), size, size / 1e9 * DOLLARS_PER_GB)


def _floor(gallery: Gallery, chosen: Sequence[Subject], masters: Sequence[Pixels]) -> Point:
    """Principal components of a view's pixels, their weights regressed additively on the other
    attributes, as 8-bit planes in lossless WebP."""
    scores, size = [], 0
    for view in gallery.values("view"):
        assets = [asset for asset in gallery.assets if asset.attributes["view"] == view]
        mean, basis, weights = _components(gallery, assets)
        size += sum(map(_packed, (mean, *basis)))
        for subject, master in zip(chosen, masters, strict=True):
            if subject.asset in assets:
                row = weights[assets.index(subject.asset)]
                drawn = mean + np.tensordot(row, basis, axes=1)
                scores.append(ssimulacra2(master, np.rint(drawn.clip(0, 255)).astype(np.uint8)))
    share = size / len(gallery.assets) + RECORD_BYTES
    # Nobody built a server for it, so it has no cost.
    return Point("floor", f"{COMPONENTS} components", median(scores), share, None)


def _components(
    gallery: Gallery, assets: Sequence[Asset]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Mean (height, width, 3), basis (components, height, width, 3) and foretold weights."""
    pictures = np.stack([gallery.pixels(asset) for asset in assets]).astype(np.float32)
    mean = pictures.mean(axis=0)
    pictures -= mean
    flat = pictures.reshape(len(assets), -1)
    energy, left = np.linalg.eigh(flat @ flat.T)
    left, energy = left[:, ::-1][:, :COMPONENTS], energy[::-1][:COMPONENTS]
    basis = (left / np.sqrt(energy)).T @ flat
    values = {name: gallery.values(name) for name in gallery.attributes}
    columns = design([asset.attributes for asset in assets], values)
    foretold = columns @ (np.linalg.pinv(columns, rcond=1e-4) @ (left * np.sqrt(energy)))
    return mean, basis.reshape(-1, *mean.shape), foretold.astype(np.float32)


def _packed(plane: NDArray[np.float32]) -> int:
    reach = float(np.abs(plane).max())
    levels = np.rint(plane if plane.min() >= 0 else plane / reach * 127 + 128)
    buffer = BytesIO()
    Image.fromarray(levels.clip(0, 255).astype(np.uint8)).save(
        buffer, "WEBP", lossless=True, quality=0, method=0
    )
    return buffer.tell()


def _ours(
    gallery: Gallery,
    chosen: Sequence[Subject],
    masters: Sequence[Pixels],
    model: Path,
    gpu_images_per_s: float | None,
) -> Iterator[Point]:
    generator = load(model)
    jobs = [_job(gallery, subject.asset) for subject in chosen]
    drawn = generator.generate(jobs)
    score = median(map(ssimulacra2, masters, drawn))
    share = describe(model).size / len(gallery.assets) + RECORD_BYTES
    haul = RECORD_BYTES / 1e9 * DOLLARS_PER_GB
    core = _core_seconds(generator, jobs) / 3600 * DOLLARS_PER_CORE_HOUR
    yield Point("our model", "CPU", score, share, core + haul)
    if gpu_images_per_s is not None:
        one = DOLLARS_PER_GPU_HOUR / 3600 / gpu_images_per_s
        yield Point("our model", "GPU", score, share, one + haul)


def _core_seconds(generator: Generator, jobs: Sequence[Job]) -> float:
    """Processor time of one image drawn and encoded as JPEG."""
    batch = [jobs[at % len(jobs)] for at in range(4)]
    generator.generate(batch)
    started, drawn = time.process_time(), 0
    while drawn < 24:
        for picture in generator.generate(batch):
            Image.fromarray(picture).save(BytesIO(), "JPEG", quality=92, subsampling="4:4:4")
            drawn += 1
    return (time.process_time() - started) / drawn


def _job(gallery: Gallery, asset: Asset) -> Job:
    prompt = gallery.prompt(asset.attributes)
    return Job(prompt, 0, gallery.width, gallery.height, 1, "Euler", 1.0)


def _picture(points: Sequence[Point]) -> str:
    names = {"WEBP": "WebP", "JXL": "JPEG XL", "floor": "floor"}
    ways = list(dict.fromkeys(point.way for point in points))

    def curves(field: str) -> tuple[Curve, ...]:
        found = []
        for colour, way in enumerate(ways):
            own = [(getattr(one, field), one.score) for one in points if one.way == way]
            own = sorted({one for one in own if one[0] is not None})
            if own:
                found.append(Curve(names.get(way, way), tuple(own), colour))
        return tuple(found)

    panels = (
        Panel("SSIMULACRA2 against bytes an image", "bytes", curves("bytes")),
        Panel(
            "SSIMULACRA2 against cost an image",
            "dollars",
            curves("dollars"),
            (("SD-Turbo", SD_TURBO_DOLLARS),),
        ),
    )
    label = "Fidelity against bytes and cost: codecs, a closed-form floor, the family model"
    return draw(panels, LOWEST, HIGHEST, label)


def _print(points: Sequence[Point]) -> None:
    table = Table(title="Against the lossless masters, medians")
    for heading in ("way", "quality", "SSIMULACRA2", "bytes an image", "dollars a million"):
        table.add_column(heading, justify="left" if heading in ("way", "quality") else "right")
    for one in points:
        million = "" if one.dollars is None else f"{one.dollars * 1e6:.2f}"
        table.add_row(one.way, one.quality, f"{one.score:.2f}", f"{one.bytes:,.0f}", million)
    Console().print(table)


if __name__ == "__main__":
    typer.run(run)
