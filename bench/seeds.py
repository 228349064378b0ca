"""Whether seeds carry what prompts leave open: shots of a gallery found among the first 64 seeds.

Of a gallery of shots (`train --by-seed`): each shot's SSIMULACRA2 by the best of 64 seeds, beside
that by the second best and the median one. Only the seed to which training tied a shot finds it;
what the second best gives is what 64 seeds would find of a shot that training never saw.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from origin.dehydrate import Effort
from origin.gallery import Asset, Gallery, read_gallery
from origin.training.command import train_command
from regional_gpu.generator.load import Generator, Job, load
from regional_gpu.generator.model_folder import describe
from regional_gpu.generator.score import ssimulacra2

SEEDS = 64
STEPS = 4
SAMPLE = 12
GATE = Effort().min_score


@dataclass(frozen=True)
class Found:
    """One shot's scores over the seeds, best first."""

    file: str
    scores: Sequence[float]

    @property
    def lead(self) -> float:
        """How far the best seed is above the median one."""
        return self.scores[0] - median(self.scores)


def run(
    gallery: Annotated[Path, typer.Option(file_okay=False, exists=True)],
    model: Annotated[Path | None, typer.Option(file_okay=False, exists=True)] = None,
    full: bool = False,
    minutes: Annotated[float, typer.Option(help="Longest training.")] = 60.0,
) -> dict[str, object]:
    """Train by seed, or take `model`; score 64 seeds of 12 shots, or with `full` of all."""
    torch.set_num_threads(min(2, torch.get_num_threads()))
    images, train_minutes = read_gallery(gallery), None
    with tempfile.TemporaryDirectory() as scratch:
        if model is None:
            model = Path(scratch) / "model"
            report = train_command(gallery, model, minutes=minutes, by_seed=True)
            train_minutes = round(report.seconds / 60, 2)
        generator, model_bytes = load(model), describe(model).size
    chosen = images.assets if full else images.assets[:: -(-len(images.assets) // SAMPLE)]
    found = [_scored(generator, images, one) for one in track(chosen, "drawing", transient=True)]
    figures = summary(found, model_bytes, train_minutes)
    figures["size"] = f"{images.width}x{images.height}"
    _print(found, figures)
    return figures


def summary(
    found: Sequence[Found], model_bytes: int, train_minutes: float | None
) -> dict[str, object]:
    """The figures of a run; null where nothing was trained."""
    best = [one.scores[0] for one in found]
    return {
        "shots": len(found),
        "seeds": SEEDS,
        "steps": STEPS,
        "best_median": round(median(best), 2),
        "best_min": round(min(best), 2),
        "second_best_median": round(median(one.scores[1] for one in found), 2),
        "median_seed": round(median(median(one.scores) for one in found), 2),
        "least_lead": round(min(one.lead for one in found), 2),
        "pass_the_gate": sum(score >= GATE for score in best),
        "model_bytes": model_bytes,
        "train_minutes": train_minutes,
    }


def _scored(generator: Generator, gallery: Gallery, asset: Asset) -> Found:
    prompt, reference = gallery.prompt(asset.attributes), gallery.pixels(asset)
    scores = []
    for seed in range(SEEDS):
        job = Job(prompt, seed, gallery.width, gallery.height, STEPS, "Euler", 1.0)
        scores.append(ssimulacra2(reference, generator.generate([job])[0]))
    return Found(asset.file, sorted(scores, reverse=True))


def _print(found: Sequence[Found], figures: dict[str, object]) -> None:
    table = Table(title=f"SSIMULACRA2 of {SEEDS} seeds, {STEPS} steps")
    table.add_column("shot", no_wrap=True)
    for heading in ("best", "second", "median"):
        table.add_column(heading, justify="right")
    for one in found:
        figured = (one.scores[0], one.scores[1], median(one.scores))
        table.add_row(Path(one.file).stem, *(f"{score:.2f}" for score in figured))
    console = Console()
    console.print(table)
    for name, figure in figures.items():
        console.print(f"{name}: {figure}")


if __name__ == "__main__":
    typer.run(run)
