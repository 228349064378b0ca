"""``./rehydrate train``: the work of :mod:`origin.training` with a bar and a report."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from origin.gallery import read_gallery
from origin.training import TrainingReport, train


def train_with_progress(
    console: Console, folder: Path, out: Path, *, minutes: float, seed: int
) -> None:
    gallery = read_gallery(folder)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("training", total=1.0)
        report = train(
            gallery,
            out,
            progress=lambda doing, share: bar.update(task, description=doing, completed=share),
            minutes=minutes,
            seed=seed,
        )
    console.print(summary(report, out))


def summary(report: TrainingReport, out: Path) -> str:
    by = " and ".join(report.layout_by) or "nothing"
    return (
        f"{out}: model {report.digest.hex()[:8]}, {report.model_bytes:,} bytes, "
        f"trained in {report.seconds:.0f} s\n"
        f"{report.layouts} layouts, told apart by {by}; at most {report.components} components "
        f"each, {report.seeded} of them moved by the seed; "
        f"{report.explained:.1%} of the variance is explained by the text"
    )
