"""What a family would give before it is trained: how much of it comes back, bytes, and costs.

Foretold from families that were really trained (``calibration.json``), those most like it counting
most. The error that is told is that of each of those families, foretold from the others.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from origin.analysis.families import Family
from origin.analysis.sampling import Sample

CALIBRATION: Final = Path(__file__).with_name("calibration.json")
RECORD_BYTES: Final = 512.0
# docs/generator.md: 2.5 to 3.1 ms a picture of 256x256 as JPEG on one core, 15 ms of 768x768.
_SECONDS_A_PICTURE: Final = 0.001
_SECONDS_A_MEGAPIXEL: Final = 0.024
# In standard deviations of the trained families' features: what counts as alike.
_REACH: Final = 0.3
# How much "nobody knows" counts, as a share of a family that is just the same.
_DOUBT: Final = 0.05
_NEAREST: Final = 3

Floats = NDArray[np.float64]


class Trained(msgspec.Struct, frozen=True):
    """A family that was trained, and what came of it.

    ``arrangements`` lie alike, ``size`` is a file's mean bytes, ``coded`` a picture's as WebP of
    quality 80. ``recall`` is the share of the gallery's own pictures that scored 80 or more
    (SSIMULACRA2), where records are proposed; ``cpu_s`` training's processor time.
    """

    family: str
    images: int
    arrangements: int
    megapixels: float
    size: float
    coded: float
    recall: float
    model_bytes: int
    cpu_s: float


@dataclass(frozen=True)
class Expected:
    """``recall`` is the share of images that would come back, ``recall_error`` the mean absolute
    error on families that were trained; ``images_per_s`` are of one core, encoded."""

    recall: float
    recall_error: float
    model_bytes: float
    record_bytes: float
    train_cpu_h: float
    images_per_s: float


@cache
def trained_families(path: Path = CALIBRATION) -> tuple[Trained, ...]:
    return msgspec.json.decode(path.read_bytes(), type=tuple[Trained, ...])


def recall_of(one: Trained, known: Sequence[Trained]) -> float:
    """The recall of families like ``one``, weighted by likeness (Nadaraya 1964, Watson 1964); a
    half where none is like it."""
    features = np.stack([_features(other) for other in known])
    apart = (features - _features(one)) / (features.std(axis=0) + 1e-9)
    weights = np.exp(-np.square(apart).mean(axis=1) / (2 * _REACH**2))
    recalls = np.array([other.recall for other in known])
    return float((weights @ recalls + 0.5 * _DOUBT) / (weights.sum() + _DOUBT))


def left_out(known: Sequence[Trained]) -> list[tuple[Trained, float]]:
    """Each family with the recall that the others foretell of it."""
    return [(one, recall_of(one, [other for other in known if other is not one])) for one in known]


def recall_error(known: Sequence[Trained]) -> float:
    """Mean absolute error of recall, each trained family foretold from the others."""
    return sum(abs(one.recall - foretold) for one, foretold in left_out(known)) / len(known)


def expect(family: Family, found: Sample) -> Expected:
    """What training ``family``, of one size, would give."""
    known = trained_families()
    one = as_trained(family, found)
    return Expected(
        recall=recall_of(one, known),
        recall_error=recall_error(known),
        model_bytes=_substance(one) * _of_nearest(one, lambda at: at.model_bytes / _substance(at)),
        record_bytes=RECORD_BYTES,
        train_cpu_h=_work(one) * _of_nearest(one, lambda at: at.cpu_s / _work(at)) / 3600,
        images_per_s=1 / (_SECONDS_A_PICTURE + _SECONDS_A_MEGAPIXEL * one.megapixels),
    )


def as_trained(family: Family, found: Sample) -> Trained:
    """What is known of a family, of one size, before it is trained."""
    first = family.members[0]
    return Trained(
        family=family.id,
        images=len(family.members),
        arrangements=len(set(family.arrangements)),
        megapixels=first.width * first.height / 1e6,
        size=family.total_bytes / len(family.members),
        coded=found.coded,
        recall=0.0,
        model_bytes=0,
        cpu_s=0.0,
    )


def _features(one: Trained) -> Floats:
    """How much there is to learn from, how large and how detailed pictures are, and how finely
    their files keep them (a coarse file's artefacts have to be learnt too)."""
    return np.log2([one.images, one.megapixels, one.coded, one.size / one.coded])


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
