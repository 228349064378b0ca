"""What `./rehydrate train` runs: training with a progress bar, then what it made."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from origin.gallery import read_gallery
from origin.training.content_report import content_report
from origin.training.family import TrainingReport, train


def train_command(
    gallery: Path,
    out: Path,
    *,
    minutes: float = 20.0,
    seed: int = 0,
    by_seed: bool = False,
    console: Console | None = None,
) -> TrainingReport:
    """Train the family whose gallery is the folder ``gallery``; write its model folder ``out``.

    Raises InputError in one line when the gallery cannot be used; ``out`` is then as it was.
    """
    console = console or Console()
    images = read_gallery(gallery)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("starting", total=1.0)
        report = train(
            images,
            out,
            progress=lambda doing, done: bar.update(task, description=doing, completed=done),
            minutes=minutes,
            seed=seed,
            by_seed=by_seed,
        )
    _tell(console, out, len(images.assets), report)
    return report


def _tell(console: Console, out: Path, images: int, report: TrainingReport) -> None:
    by = " and ".join(report.layout_by) or "nothing"
    adds = "light" if report.linear else "display levels"
    pictures = [f"{count} for {name}" for name, count in report.pictures.items()]
    console.print(
        f"{out}: {report.model_bytes} bytes, digest {report.digest.hex()}, "
        f"{report.seconds:.0f} s\n"
        f"{images} images; layout by {by} ({report.layouts}); {adds} adds up; "
        f"shared pictures a layout: {', '.join(pictures) or 'none'}, "
        f"{report.seeded} for the seed; text explains {report.explained:.2%} of what varies",
        highlight=False,
    )
    if report.unrefined:
        console.print(
            f"out of time: {report.unrefined} layouts keep the colour that JPEG halved; run it "
            "again with more --minutes",
            highlight=False,
        )
    if report.content:
        console.print(content_report(report.content), highlight=False)
    if report.taken:
        taken = report.taken
        console.print(
            f"every image is a shot of its own: places differ by {taken.shift:.1f} pixels, "
            f"zooms by {taken.zoom:.1%}, turns by {taken.turn:.1f} degrees, light by "
            f"{taken.light:.1%} (standard deviations); dehydrate fits them per asset",
            highlight=False,
        )
    if report.flow:
        console.print(
            f"a seed draws one of them: each shot is tied to one of its prompt's first "
            f"{report.flow.seeds} seeds, and comes back to {report.flow.error:.3f} standard "
            f"deviations in {report.flow.steps} steps; give dehydrate --seeds {report.flow.seeds} "
            f"--steps {report.flow.steps}",
            highlight=False,
        )
