"""As much of a trial as there is time for: a part of the family first, then more of it.

How long training takes depends on what a family turns out to be, so nobody can tell beforehand.
Each part is tried in a process of its own, which is ended when its time is up.
"""

import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import numpy as np

from kvsync.errors import InputError, RehydrationError
from origin.gallery import Asset, Gallery
from origin.try_folder import FEWEST
from origin.try_measure import Told, Trial, measure

FIRST: Final = 40
FIRST_PIXELS: Final = 24_000_000
"""The first part: so many pictures of so many pixels together."""
MOST_PIXELS: Final = 130_000_000
"""The largest: pictures lie in memory together while they are fitted."""
FEWEST_VALUES: Final = 4
FIRST_SHARE: Final = 0.6
"""Of the time there is, what the first part may take before half as much is tried."""
FINISHES: Final = 0.75
"""Of the time that is left, what a larger part may be expected to take."""
WORTH_IT: Final = 1.5
"""How many times more pictures are worth another trial."""
MOST_TIMES: Final = 3.0
"""So many times more at once, at most: more pictures may turn out to be slower to learn."""


@dataclass(frozen=True)
class Tried:
    """The largest part that was tried in time, and what came of it; None where none was."""

    gallery: Gallery
    trial: Trial | None


def try_in_time(gallery: Gallery, scratch: Path, deadline: float, told: Told) -> Tried:
    """Try parts of ``gallery`` until ``deadline``, in seconds of the monotonic clock.

    Raises InputError where training does.
    """
    whole = part_of(gallery, max(FEWEST, MOST_PIXELS // (gallery.width * gallery.height)))
    wanted = min(FIRST, FIRST_PIXELS // (gallery.width * gallery.height))
    part = part_of(whole, max(FEWEST, wanted))
    best: Tried | None = None
    while True:
        began = time.monotonic()
        left = deadline - began
        trial = _in_process(part, scratch, left if best else FIRST_SHARE * left, told)
        if trial is not None:
            best = Tried(part, trial)
            now = time.monotonic()
            # Also where nothing came back: what a large family varies in, few pictures hide.
            more = _more(part, whole, now - began, deadline - now)
            if more is None:
                return best
            part = more
        elif best or len(part.assets) <= FEWEST:
            return best or Tried(part, None)
        else:
            part = part_of(part, max(FEWEST, len(part.assets) // 2))


def part_of(gallery: Gallery, most: int) -> Gallery:
    """At most ``most`` pictures: fewer values of the attributes that have many, all combinations
    of those that stay, so that the part is as complete as the whole."""
    random = np.random.default_rng(0)
    assets = list(gallery.assets)
    while len(assets) > most:
        name, values = max(
            ((name, _counted(assets, name)) for name in gallery.attributes),
            key=lambda one: len(one[1]),
        )
        gone = sorted(values)[int(random.integers(len(values)))]
        if len(values) <= FEWEST_VALUES or len(assets) - values[gone] < FEWEST:
            drawn = sorted(random.permutation(len(assets))[:most])
            assets = [assets[at] for at in drawn]
        else:
            assets = [asset for asset in assets if asset.attributes[name] != gone]
    return replace(gallery, assets=tuple(assets))


def _counted(assets: list[Asset], name: str) -> Counter[str]:
    return Counter(asset.attributes[name] for asset in assets)


def _more(part: Gallery, whole: Gallery, took: float, left: float) -> Gallery | None:
    """A part that is expected to be done in the time ``left``, where it is worth it."""
    pictures = int(len(part.assets) * min(MOST_TIMES, FINISHES * left / took))
    if min(pictures, len(whole.assets)) < WORTH_IT * len(part.assets):
        return None
    return part_of(whole, pictures)


def _in_process(gallery: Gallery, scratch: Path, seconds: float, told: Told) -> Trial | None:
    """A trial in a process of its own; None when it is not done in time or dies of its size."""
    context = get_context("spawn")
    hears, says = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(gallery, scratch, says), daemon=True)
    process.start()
    says.close()
    until = time.monotonic() + seconds
    try:
        # The pipe ends with the process.
        with suppress(EOFError):
            while hears.poll(max(0.0, until - time.monotonic())):
                heard = hears.recv()
                if isinstance(heard, Trial):
                    return heard
                if isinstance(heard, InputError):
                    raise heard
                told(*heard)
            return None
        process.join()
        if (process.exitcode or 0) > 0:
            raise RehydrationError(f"{gallery.folder}: the trial broke off; its error is above")
        return None
    finally:
        process.kill()
        process.join()
        hears.close()


def _measure(gallery: Gallery, scratch: Path, says: Connection) -> None:
    def told(doing: str, done: float) -> None:
        says.send((doing, done))

    try:
        says.send(measure(gallery, scratch, told))
    except InputError as error:
        says.send(error)
