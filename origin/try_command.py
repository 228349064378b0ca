"""``./rehydrate try``: a folder of pictures in, yes or no out."""

import os
import tempfile
import time
from pathlib import Path
from typing import Final

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from kvsync.errors import InputError
from origin.dehydrate import Effort
from origin.try_gallery import Guess, gallery_of
from origin.try_measure import Told, Trial, measure
from origin.try_money import Prices
from origin.try_report import Answer, answer
from origin.try_sheet import write_try_sheet

DOLLARS_PER_CORE_HOUR: Final = 0.02
DOLLARS_PER_GPU_HOUR: Final = 3.0
# Of the time given: the rest is for looking at the files, drawing, scoring and the sheet.
SHARE_FOR_TRAINING: Final = 0.6


def try_folder(
    folder: Path,
    out: Path,
    *,
    images_a_month: float,
    dollars_per_gb: float,
    dollars_per_hour: float | None,
    minutes: float,
    console: Console,
) -> Answer:
    """Answer on ``console`` whether ``folder`` is a family worth drawing; the sheet goes to
    ``out``. Raises InputError, in one line, where there is nothing to answer."""
    started = time.monotonic()
    machine, price = _machine()
    prices = Prices(images_a_month, dollars_per_gb, dollars_per_hour or price)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with (
        Progress(*columns, console=console, transient=True) as bar,
        tempfile.TemporaryDirectory(prefix="try-") as scratch,
    ):
        task = bar.add_task("looking at the files", total=1.0)

        def told(doing: str, done: float) -> None:
            bar.update(task, description=doing, completed=done)

        guess = gallery_of(folder, told)
        trial = _trial(guess, Path(scratch), minutes, told)
    found = answer(guess, trial, prices, Effort().min_score, machine)
    write_try_sheet(out, folder.resolve().name, found, trial.compared)
    _print(console, found, out, time.monotonic() - started)
    return found


def _trial(guess: Guess, scratch: Path, minutes: float, told: Told) -> Trial:
    try:
        return measure(guess.gallery, scratch, SHARE_FOR_TRAINING * minutes, told)
    except InputError as error:
        raise InputError(f"no answer: {error}") from error


def _print(console: Console, found: Answer, out: Path, seconds: float) -> None:
    console.print(found.headline, style="bold", highlight=False)
    for heading, text in (*found.rows, ("sheet", f"{out} ({seconds:.0f} s in all)")):
        console.print(f"{heading:<11} {text}", highlight=False, soft_wrap=True)


def _machine() -> tuple[str, float]:
    """What draws here, and its usual price an hour."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name(), DOLLARS_PER_GPU_HOUR
    cores = os.cpu_count() or 1
    return f"{cores} CPU cores", cores * DOLLARS_PER_CORE_HOUR
