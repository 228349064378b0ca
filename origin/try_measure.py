"""A family's first trial: some combinations are left out of training, then drawn and scored."""

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from kvsync.rendition import Still
from origin.gallery import Asset, Gallery
from origin.training import TrainingReport, train
from origin.training.payload_fit import fitted_job
from regional_gpu.generator.encode import encode
from regional_gpu.generator.load import Generator, Job, load
from regional_gpu.generator.posed_generator import PosedGenerator
from regional_gpu.generator.score import ssimulacra2

Pixels = NDArray[np.uint8]
Told = Callable[[str, float], None]

SCORED: Final = 16
SCORED_PIXELS: Final = 10_000_000
"""Pictures drawn and scored of each kind, new and trained on: so many, fewer of large ones."""
FEWEST_SCORED: Final = 4
SCORED_SHOTS: Final = 8
"""So many where each is a shot of its own, whose pose and light take seconds to find."""
MOST_LEFT_OUT: Final = 0.2
"""No larger share of the combinations is left out of training."""
DELIVERED: Final = Still("jpeg", 2048, 92)
BATCH: Final = 4
TIMED: Final = 48
TIMED_SECONDS: Final = 3.0
"""How many pictures drawing is timed on, or for how long."""


@dataclass(frozen=True)
class Compared:
    """One picture beside what the model drew for its prompt, as its record would have it."""

    file: str
    prompt: str
    unseen: bool  # its combination was left out of training
    score: float  # SSIMULACRA2 against the file
    payload_bytes: int  # of how the shot was taken; 0 where the prompt says all
    original: Pixels
    generated: Pixels


@dataclass(frozen=True)
class Trial:
    report: TrainingReport
    compared: tuple[Compared, ...]
    images_per_s: float  # drawn and encoded as JPEG, on this machine
    trained_on: int

    @property
    def payload_bytes(self) -> int:
        return max(one.payload_bytes for one in self.compared)

    def scores(self, *, unseen: bool) -> list[float]:
        return [one.score for one in self.compared if one.unseen == unseen]

    def recall(self, least: float, *, unseen: bool) -> float | None:
        """The share of pictures that score ``least`` or more; None where there are none."""
        scores = self.scores(unseen=unseen)
        return sum(score >= least for score in scores) / len(scores) if scores else None

    def median(self, *, unseen: bool) -> float | None:
        scores = self.scores(unseen=unseen)
        return median(scores) if scores else None


def measure(gallery: Gallery, scratch: Path, told: Told) -> Trial:
    """Train ``gallery`` into ``scratch`` without some combinations of it, draw them, score them.

    However long it takes. Raises InputError where training does.
    """
    scored = SCORED_PIXELS // (gallery.width * gallery.height)
    scored = min(SCORED, max(FEWEST_SCORED, scored))
    kept, left = leave_out(gallery, scored)
    rest = replace(gallery, assets=tuple(kept))
    report = train(rest, scratch / "model", progress=told, minutes=math.inf, part_of=gallery)
    generator = load(scratch / "model")
    if isinstance(generator, PosedGenerator):
        scored = min(scored, SCORED_SHOTS)
    subjects = [(asset, True) for asset in _spread(left, scored)]
    subjects += [(asset, False) for asset in _spread(kept, scored)]
    compared = []
    for at, (asset, unseen) in enumerate(subjects):
        told("drawing and scoring", at / len(subjects))
        compared.append(_compare(gallery, asset, unseen, generator))
    jobs = [_job(gallery, asset) for asset in kept]
    return Trial(report, tuple(compared), images_per_s(generator, jobs), len(kept))


def leave_out(gallery: Gallery, most: int) -> tuple[list[Asset], list[Asset]]:
    """The assets to train on, and ``most`` of those of a few combinations kept from training.

    Each value of every attribute stays in training at least twice; where that cannot be, nothing
    is left out.
    """
    combinations = sorted({tuple(asset.attributes.values()) for asset in gallery.assets})
    random = np.random.default_rng(0)
    wanted = min(most, int(MOST_LEFT_OUT * len(combinations)))
    staying = set(combinations)
    for at in random.permutation(len(combinations)):
        if len(combinations) - len(staying) == wanted:
            break
        if _can_do_without(combinations[at], staying):
            staying.remove(combinations[at])
    kept: list[Asset] = []
    left: list[Asset] = []
    for asset in gallery.assets:
        (kept if tuple(asset.attributes.values()) in staying else left).append(asset)
    return kept, left[:: max(1, len(left) // most)]


def images_per_s(generator: Generator, jobs: Sequence[Job]) -> float:
    """Pictures drawn and encoded a second with all of this machine.

    On a CPU by the processor time that one takes, so that other work on the machine does not
    count; on a GPU by the clock.
    """
    endless = cycle(jobs)
    generator.generate(list(islice(endless, BATCH)))  # the first batch pays for the start
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    share = 1 if torch.cuda.is_available() else os.cpu_count() or 1
    drawn, begun, started = 0, time.perf_counter(), clock()
    while drawn < TIMED and time.perf_counter() - begun < TIMED_SECONDS:
        pictures = generator.generate(list(islice(endless, BATCH)))
        for picture in pictures:
            encode(picture, DELIVERED)
        drawn += len(pictures)
    return share * drawn / (clock() - started)


def _can_do_without(combination: tuple[str, ...], staying: set[tuple[str, ...]]) -> bool:
    # Its own one counts, so that two others remain.
    return all(
        sum(other[at] == value for other in staying) > 2 for at, value in enumerate(combination)
    )


def _spread(assets: Sequence[Asset], most: int) -> list[Asset]:
    count = min(most, len(assets))
    return [assets[at * len(assets) // count] for at in range(count)]


def _compare(gallery: Gallery, asset: Asset, unseen: bool, generator: Generator) -> Compared:
    original = gallery.pixels(asset)
    job = fitted_job(generator, _job(gallery, asset), original)
    (generated,) = generator.generate([job])
    score = ssimulacra2(original, generated)
    payload_bytes = len(job.payload)
    return Compared(asset.file, job.prompt, unseen, score, payload_bytes, original, generated)


def _job(gallery: Gallery, asset: Asset) -> Job:
    prompt = gallery.prompt(asset.attributes)
    return Job(prompt, 0, gallery.width, gallery.height, 1, "Euler", 1.0)
