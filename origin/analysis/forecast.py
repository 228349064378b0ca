"""What a family would give before it is trained: how much of it comes back, bytes, and costs.

Foretold from families that were really trained (``calibration.json``): the scores of new ones lie
on a line through what samples show. The error that is told is that of each of those families,
foretold from the others.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from origin.analysis.families import Family
from origin.analysis.sampling import Sample

CALIBRATION: Final = Path(__file__).with_name("calibration.json")
GATE: Final = 80.0
"""SSIMULACRA2 from which a record is proposed to a person: ``dehydrate --min-score``."""
RECORD_BYTES: Final = 512.0
# docs/generator.md: 2.5 to 3.1 ms a picture of 256x256 as JPEG on one core, 15 ms of 768x768.
_SECONDS_A_PICTURE: Final = 0.001
_SECONDS_A_MEGAPIXEL: Final = 0.024
# So few families must not be followed one by one.
_RIDGE: Final = 1.0
# How bad a picture is below this says nothing more.
_FLOOR: Final = 0.0
_NEAREST: Final = 3

Floats = NDArray[np.float64]


class Trained(msgspec.Struct, frozen=True):
    """A family that was trained: what a sample of it shows, and what came of it.

    ``arrangements`` lie alike, ``coded`` are a picture's bytes as WebP of quality 80, the rest of
    the sample as in :class:`origin.analysis.sampling.Sample`. ``median`` (SSIMULACRA2) and
    ``recall``, the share at :data:`GATE` or above, are of the gallery's own pictures; ``cpu_s`` is
    training's processor time.
    """

    family: str
    images: int
    arrangements: int
    megapixels: float
    coded: float
    unexplained: float
    stays: float
    median: float
    recall: float
    model_bytes: int
    cpu_s: float


@dataclass(frozen=True)
class Recall:
    """The share of a family's images that would come back; ``error`` is the mean absolute one of
    trained families, ``score`` the SSIMULACRA2 that is expected of the middle one."""

    share: float
    error: float
    score: float


@dataclass(frozen=True)
class Expected:
    """``images_per_s`` are of one core, encoded."""

    recall: Recall
    model_bytes: float
    record_bytes: float
    train_cpu_h: float
    images_per_s: float


@dataclass(frozen=True)
class Line:
    """Scores by features, with the standard deviation of those that it was fitted on."""

    centre: Floats
    scale: Floats
    weights: Floats
    spread: float

    def score(self, one: Trained) -> float:
        features = (_features(one) - self.centre) / self.scale
        return float(np.append(features, 1.0) @ self.weights)

    def share(self, one: Trained) -> float:
        return 1 - NormalDist(self.score(one), self.spread).cdf(GATE)


def fit(known: Sequence[Trained]) -> Line:
    """Ridge regression of scores on features."""
    features = np.stack([_features(one) for one in known])
    scores = np.array([max(one.median, _FLOOR) for one in known])
    centre, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
    design = np.column_stack([(features - centre) / scale, np.ones(len(known))])
    penalty = _RIDGE * np.diag([*[1.0] * features.shape[1], 0.0])
    weights = np.linalg.solve(design.T @ design + penalty, design.T @ scores)
    free = max(1, len(known) - design.shape[1])
    spread = float(np.sqrt(np.square(scores - design @ weights).sum() / free))
    return Line(centre, scale, weights, max(spread, 1.0))


def left_out(known: Sequence[Trained]) -> list[tuple[Trained, float]]:
    """Each family with the recall that the others foretell of it."""
    return [(one, fit([other for other in known if other is not one]).share(one)) for one in known]


def recall_error(known: Sequence[Trained]) -> float:
    """Mean absolute error of recall, of each trained family foretold from the others."""
    return sum(abs(one.recall - foretold) for one, foretold in left_out(known)) / len(known)


@cache
def trained_families(path: Path = CALIBRATION) -> tuple[Trained, ...]:
    return msgspec.json.decode(path.read_bytes(), type=tuple[Trained, ...])


def expect(family: Family, found: Sample) -> Expected:
    """What training ``family``, of one size, would give."""
    known = trained_families()
    one = _as_trained(family, found)
    line = fit(known)
    return Expected(
        recall=Recall(line.share(one), recall_error(known), line.score(one)),
        model_bytes=_substance(one) * _of_nearest(one, lambda at: at.model_bytes / _substance(at)),
        record_bytes=RECORD_BYTES,
        train_cpu_h=_work(one) * _of_nearest(one, lambda at: at.cpu_s / _work(at)) / 3600,
        images_per_s=1 / (_SECONDS_A_PICTURE + _SECONDS_A_MEGAPIXEL * one.megapixels),
    )


def _as_trained(family: Family, found: Sample) -> Trained:
    first = family.members[0]
    return Trained(
        family=family.id,
        images=len(family.members),
        arrangements=len(set(family.arrangements)),
        megapixels=first.width * first.height / 1e6,
        coded=found.coded,
        unexplained=found.unexplained,
        stays=found.stays,
        median=0.0,
        recall=0.0,
        model_bytes=0,
        cpu_s=0.0,
    )


def _features(one: Trained) -> Floats:
    """What a model can learn from (pictures an arrangement, pixels), and what it must (detail, what
    attributes do not explain)."""
    return np.array(
        [
            math.log2(one.images / one.arrangements),
            math.log2(one.megapixels),
            math.log2(8e-6 * one.coded / one.megapixels),
            math.log2(one.unexplained + 1),
        ]
    )


def _substance(one: Trained) -> float:
    """What a model has to hold: a picture of each arrangement."""
    return one.arrangements * one.coded


def _work(one: Trained) -> float:
    return one.images * one.megapixels


def _of_nearest(one: Trained, ratio: Callable[[Trained], float]) -> float:
    """The middle one of the trained families with the nearest number of pictures in all."""
    known = trained_families()
    wanted = math.log2(_work(one))
    nearest = sorted(known, key=lambda other: abs(math.log2(_work(other)) - wanted))[:_NEAREST]
    return sorted(map(ratio, nearest))[len(nearest) // 2]
