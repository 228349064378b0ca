"""``./rehydrate try``: a folder of pictures in, yes or no out."""

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from kvsync.errors import InputError
from origin.dehydrate import Effort
from origin.try_gallery import NotOneFamily, gallery_of
from origin.try_measure import Compared, Told
from origin.try_money import Prices
from origin.try_report import Answer, answer
from origin.try_sheet import write_try_sheet
from origin.try_trials import try_in_time

DOLLARS_PER_CORE_HOUR: Final = 0.02
DOLLARS_PER_GPU_HOUR: Final = 3.0
# Of the time given, until when files are opened, and until when parts of the family are tried:
# the rest is for the start and for writing the sheet.
SHARE_FOR_LOOKING: Final = 0.2
SHARE_FOR_TRIALS: Final = 0.85


def try_folder(
    folder: Path,
    out: Path,
    *,
    prices: Prices,
    minutes: float,
    console: Console,
) -> Answer:
    """Answer on ``console`` whether ``folder`` is a family worth drawing; the sheet goes to
    ``out``. Raises InputError, in one line, where there is nothing to answer."""
    started = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with (
        Progress(*columns, console=console, transient=True) as bar,
        tempfile.TemporaryDirectory(prefix="try-") as scratch,
    ):
        task = bar.add_task("looking at the files", total=1.0)

        def told(doing: str, done: float) -> None:
            bar.update(task, description=doing, completed=done)

        found, compared = _answer(folder, Path(scratch), prices, minutes, told)
    write_try_sheet(out, folder.resolve().name, found, compared)
    _print(console, found, out, time.monotonic() - started)
    return found


def _answer(
    folder: Path, scratch: Path, prices: Prices, minutes: float, told: Told
) -> tuple[Answer, Sequence[Compared]]:
    started, least = time.monotonic(), Effort().min_score
    try:
        guess = gallery_of(folder, started + SHARE_FOR_LOOKING * 60 * minutes, told)
    except NotOneFamily as error:
        return Answer(False, (f"{error}.",)), ()
    deadline = started + SHARE_FOR_TRIALS * 60 * minutes
    try:
        tried = try_in_time(guess.gallery, scratch, deadline, told)
    except InputError as error:
        raise InputError(f"no answer: {error}") from error
    if tried.trial is None:
        raise InputError(
            f"{folder}: no answer within {minutes:g} minutes: not even {len(tried.gallery.assets)} "
            "of its pictures could be learnt. Close what else keeps this machine busy, or give "
            f"more (--minutes {3 * minutes:g})"
        )
    machine = machine_name()
    found = answer(guess, tried.gallery, tried.trial, prices, least, machine)
    return found, tried.trial.compared


def _print(console: Console, found: Answer, out: Path, seconds: float) -> None:
    console.print(found.headline, style="bold", highlight=False)
    for heading, text in (*found.rows, ("sheet", f"{out} ({seconds:.0f} s in all)")):
        console.print(f"{heading:<11} {text}", highlight=False, soft_wrap=True)


def machine_name() -> str:
    """What draws here."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{os.cpu_count() or 1} CPU cores"


def machine_price() -> float:
    """Its usual price, dollars an hour."""
    if torch.cuda.is_available():
        return DOLLARS_PER_GPU_HOUR
    return (os.cpu_count() or 1) * DOLLARS_PER_CORE_HOUR
