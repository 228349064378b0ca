"""How good a family's generated pictures are, by the rules that every family is judged by.

Without options the shipped model is judged against the sample's masters. With `--gallery` a model
is trained from nothing first, unless `--model` names one. Masters and unseen pictures are read
only here, after training. A run that is interrupted once its model is trained goes on from there:
the model is kept in `var/quality` until its figures are printed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench._records import signed_record
from bench._references import Subject, sample, subjects, unseen_subjects
from bench._regions import Regions
from bench._trained import Work, work_on
from kvsync.property import Property, read_property
from kvsync.rendition import ImageFormat, Still
from origin.dehydrate import Effort, fit
from origin.gallery import Gallery, read_gallery
from origin.lessons import Pixels
from regional_gpu.generator.colour import delta_e2000
from regional_gpu.generator.encode import decode, encode
from regional_gpu.generator.load import Generator, Job, load
from regional_gpu.generator.model_folder import describe
from regional_gpu.generator.score import ssimulacra2

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "origin/samples/rumba"
MODEL = SAMPLE / "model"
PROPERTY = ROOT / "deploy/properties/rumba.toml"
EFFORT = Effort()
DELIVERED: ImageFormat = "jpeg"  # what every client can be given


@dataclass(frozen=True)
class Judged:
    """One image's figures; ``delivered`` has score and bytes by format, ``colour`` ΔE2000 by
    attribute. Both are empty where only the score is asked for."""

    file: str
    has_master: bool
    score: float
    delivered: dict[str, tuple[float, int]] = field(default_factory=dict)
    colour: dict[str, float] = field(default_factory=dict)
    record_bytes: int | None = None


@dataclass(frozen=True)
class Model:
    """A loaded generator, its bytes on disk, and how long training took if it was trained here."""

    generator: Generator
    bytes: int
    train_minutes: float | None


FolderOption = Annotated[Path | None, typer.Option(file_okay=False, exists=True)]


def run(
    full: bool = False,
    gallery: FolderOption = None,
    masters: FolderOption = None,
    unseen: FolderOption = None,
    model: FolderOption = None,
    minutes: Annotated[float, typer.Option(help="Longest training.")] = 20.0,
    everything: Annotated[
        bool, typer.Option("--all", help="Every image, not a sample of 24; so does --full.")
    ] = False,
) -> dict[str, object]:
    """Judge a model of the gallery's family; prints the scores of each image and their summary."""
    torch.set_num_threads(min(2, torch.get_num_threads()))
    everything = everything or full
    if gallery is None:
        gallery, masters, model = SAMPLE, masters or SAMPLE, model or MODEL
    images = read_gallery(gallery)
    work = None if model else work_on(gallery)
    made = trained(work, minutes) if work else opened(model or MODEL)
    seen = _judge_seen(made.generator, images, sample(subjects(images, masters), everything))
    new: list[Judged] = []
    if unseen:
        others = read_gallery(unseen)
        new = _judge_unseen(
            made.generator,
            images,
            others,
            sample(unseen_subjects(others, images), everything),
        )
    figures = summary(seen, new, made)
    _print(seen, new, figures)
    if work:
        work.done()
    return figures


def opened(folder: Path) -> Model:
    """A model trained before."""
    return Model(load(folder), describe(folder).size, None)


def trained(work: Work, minutes: float) -> Model:
    """Trained from nothing, or by a run of the same that was interrupted after it."""
    made = work.train(minutes)
    return Model(load(work.model), made.model_bytes, made.seconds / 60)


def summary(seen: Sequence[Judged], unseen: Sequence[Judged], model: Model) -> dict[str, object]:
    """The figures of a run; None where there is nothing to take one from."""
    scores = [one.score for one in seen]
    colours = [distance for one in seen for distance in one.colour.values()]
    records = [one.record_bytes for one in seen if one.record_bytes is not None]
    minutes = model.train_minutes
    return {
        "ssimulacra2_median": _rounded(median(scores)) if scores else None,
        "ssimulacra2_min": _rounded(min(scores)) if scores else None,
        "unseen_median": _rounded(median(one.score for one in unseen)) if unseen else None,
        "model_bytes": model.bytes,
        "record_bytes_max": max(records, default=None),
        "train_minutes": None if minutes is None else _rounded(minutes),
        "colour_delta_e_median": _rounded(median(colours)) if colours else None,
        "colour_delta_e_worst": _rounded(max(colours)) if colours else None,
        "delivered_median": _delivered(seen, DELIVERED),
    }


def _judge_seen(generator: Generator, gallery: Gallery, chosen: Sequence[Subject]) -> list[Judged]:
    """As in life: seed or payload fitted to the gallery's own file, then delivered."""
    regions, site = Regions(gallery), read_property(PROPERTY)
    judged = []
    for subject in track(chosen, "judging", transient=True):
        original = gallery.pixels(subject.asset)
        prompt = gallery.prompt(subject.asset.attributes)
        fitted = fit(generator, subject.asset.file, prompt, original, EFFORT)
        (picture,) = generator.generate([Job.of(fitted.recipe)])
        reference = gallery.pixels(subject.reference)
        score = ssimulacra2(reference, picture)
        colour = {
            name: delta_e2000(reference, picture, region)
            for name, region in regions.of(subject.asset.attributes).items()
        }
        record = signed_record(site, gallery, subject.asset, fitted)
        judged.append(
            Judged(
                subject.asset.file,
                subject.has_master,
                score,
                dict(_deliver(site, picture, reference)),
                colour,
                len(record),
            )
        )
    return judged


def _judge_unseen(
    generator: Generator, gallery: Gallery, unseen: Gallery, chosen: Sequence[Subject]
) -> list[Judged]:
    """From the prompt alone: nothing of the reference chooses the seed."""
    judged = []
    for subject in track(chosen, "judging the unseen", transient=True):
        values = {name: subject.asset.attributes[name] for name in gallery.attributes}
        job = Job(
            gallery.prompt(values),
            0,
            unseen.width,
            unseen.height,
            EFFORT.steps,
            EFFORT.sampler,
            EFFORT.guidance,
        )
        (picture,) = generator.generate([job])
        score = ssimulacra2(unseen.pixels(subject.reference), picture)
        judged.append(Judged(subject.asset.file, subject.has_master, score))
    return judged


def _deliver(
    site: Property, picture: Pixels, reference: Pixels
) -> Iterable[tuple[str, tuple[float, int]]]:
    """By format: score and bytes of the decoded file at the format's default quality."""
    for rule in site.renditions.formats:
        data = encode(picture, Still(rule.format, picture.shape[1], rule.quality)).data
        yield rule.format, (ssimulacra2(reference, decode(data)), len(data))


def _delivered(seen: Sequence[Judged], form: str) -> float | None:
    scores = [one.delivered[form][0] for one in seen if form in one.delivered]
    return _rounded(median(scores)) if scores else None


def _rounded(figure: float) -> float:
    return round(figure, 3)


def _print(seen: list[Judged], unseen: list[Judged], figures: dict[str, object]) -> None:
    formats = list(seen[0].delivered)
    attributes = sorted({name for one in seen for name in one.colour})
    table = Table(title="SSIMULACRA2 of generated and delivered pictures, ΔE2000 by attribute")
    table.add_column("image", no_wrap=True)
    table.add_column("reference")
    for heading in ("generated", *formats, *attributes):
        table.add_column(heading, justify="right")
    for one in [*seen, *unseen]:
        table.add_row(
            ("unseen " if one in unseen else "") + Path(one.file).stem,
            "master" if one.has_master else "gallery",
            f"{one.score:.2f}",
            *(f"{one.delivered[form][0]:.2f}" if one.delivered else "" for form in formats),
            *(f"{one.colour[name]:.2f}" if name in one.colour else "" for name in attributes),
        )
    console = Console()
    console.width = max(console.width, 120)  # one line an image, also in a log
    console.print(table)
    for form in formats:
        size = round(median(one.delivered[form][1] for one in seen))
        console.print(f"delivered as {form}: {_delivered(seen, form)}, {size:,} bytes (medians)")
    for name, figure in figures.items():
        console.print(f"{name}: {figure}")


if __name__ == "__main__":
    typer.run(run)
