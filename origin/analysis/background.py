"""A family that the console takes from the list: the command that does it, and how far it is."""

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal

from kvsync.errors import InputError
from origin.analysis.hits import Hit

# How the last line begins that the command writes where it came to its end.
_AT_ITS_END: Final = "next: "


@dataclass(frozen=True)
class Taking:
    """``said`` is what the command said of it at last."""

    state: Literal["none", "running", "failed", "done"]
    said: str = ""


def begin_taking(folder: Path, hit: Hit) -> None:
    """Start the command that takes ``hit`` of the list in ``folder``: training takes minutes.

    What an attempt that failed left is removed. Raises InputError for a family that was taken, or
    is being taken now.
    """
    (folder / "galleries").mkdir(parents=True, exist_ok=True)
    out = folder / "galleries" / hit.id
    with _log_of(folder, hit).open("ab") as log:
        if not _held(log):
            raise InputError(f"{hit.name} is being trained already")
        if _ended(folder, hit).state == "done":
            raise InputError(f"{hit.name} was taken before")
        log.truncate(0)
        shutil.rmtree(out, ignore_errors=True)
        command = [sys.executable, "-m", "origin", "take", hit.id, "--out", str(out)]
        subprocess.Popen(
            [*command, "--into", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # Lines as they were written, not broken where a screen would end.
            env=os.environ | {"COLUMNS": "400"},
        )


def taking_of(folder: Path, hit: Hit) -> Taking:
    """How far it is; of a family taken on the command line nothing is known but that it was."""
    if not _log_of(folder, hit).exists():
        return _ended(folder, hit)
    with _log_of(folder, hit).open("rb") as log:
        if _held(log):
            return _ended(folder, hit)
    lines = _lines(folder, hit)
    return Taking("running", lines[-1] if lines else "")


def _ended(folder: Path, hit: Hit) -> Taking:
    lines = _lines(folder, hit)
    if lines and lines[-1].startswith(_AT_ITS_END):
        return Taking("done", lines[-2] if len(lines) > 1 else "")
    if lines:
        return Taking("failed", lines[-1].removeprefix("rehydrate: "))
    return Taking("done", f"Its gallery is {hit.taken}.") if hit.taken else Taking("none")


def _held(log: IO[bytes]) -> bool:
    """Whether the log is ours now: a command that writes to it keeps its lock until it ends."""
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lines(folder: Path, hit: Hit) -> list[str]:
    try:
        text = _log_of(folder, hit).read_text(errors="replace")
    except FileNotFoundError:
        return []
    return [line.strip()[:300] for line in text.splitlines() if line.strip()]


def _log_of(folder: Path, hit: Hit) -> Path:
    return folder / "galleries" / f"{hit.id}.log"
