"""What rejections teach: the next fit of the same original draws and weighs otherwise.

No seed that was rejected is tried again, no picture that was is proposed again, and what somebody
complained of counts beside the score from then on, in points of SSIMULACRA2.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from kvsync.errors import InputError
from origin.database import Database
from origin.qa import WRONG_COLOUR, WRONG_ORIGINAL, recipe_of, was_judged_bad
from origin.tables import AssetRow, CandidateRow
from regional_gpu.generator.score import error_map, ssimulacra2

Pixels = NDArray[np.uint8]

# A colour this far off is worth as much as a point of SSIMULACRA2, once somebody complained.
_DELTA_E_OF_A_POINT: Final = 0.25
# What a shape is judged by: the pictures made so much smaller.
_AFAR: Final = 4
_PATCH: Final = 32


class NothingLeft(InputError):
    """Whatever the model draws for an original was rejected already, or the original was."""


@dataclass(frozen=True)
class Lessons:
    """Of one original: the (prompt, seed) pairs and the fingerprints of what was rejected, and
    the reasons."""

    seeds: frozenset[tuple[str, int]] = frozenset()
    pictures: frozenset[bytes] = frozenset()
    reasons: frozenset[str] = frozenset()

    def demand_right_original(self) -> None:
        """:class:`NothingLeft` where somebody said that it is the original which is wrong."""
        if self._complained(WRONG_ORIGINAL):
            raise NothingLeft("the original was rejected as wrong: supply another")

    def fresh_seeds(self, prompt: str, count: int) -> list[int]:
        """The first ``count`` seeds that were not rejected with this prompt."""
        tried = {seed for said, seed in self.seeds if said == prompt}
        return [seed for seed in range(count + len(tried)) if seed not in tried][:count]

    def penalty(self, reference: Pixels, picture: Pixels, worst_delta_e: float) -> float:
        """Points of SSIMULACRA2 that a picture loses by what was complained of before; 0 where
        nothing was. ``worst_delta_e`` is of the attribute whose colour is furthest off."""
        measures = {one for reason, one in _MEASURES.items() if self._complained(reason)}
        colour = worst_delta_e / _DELTA_E_OF_A_POINT if self._complained(WRONG_COLOUR) else 0.0
        return colour + sum(measure(reference, picture) for measure in measures)

    def demand_some(self, left: int) -> None:
        """:class:`NothingLeft` where no picture is left that was not rejected."""
        if not left:
            why = ", ".join(sorted(self.reasons))
            raise NothingLeft(
                f"all that this model draws for it was rejected ({why}): "
                "change the words, or train it further"
            )

    def _complained(self, reason: str) -> bool:
        return any(said.casefold().startswith(reason) for said in self.reasons)


UNTAUGHT: Final = Lessons()
"""Nothing was rejected."""


def lessons_of(database: Database, property: str, path: str, original: bytes) -> Lessons:
    """What was rejected for the original with the content digest ``original``."""
    query = (
        select(CandidateRow)
        .join(AssetRow, AssetRow.id == CandidateRow.asset_id)
        .where(AssetRow.property == property, AssetRow.path == path)
        .where(CandidateRow.original == original, CandidateRow.state == "rejected")
    )
    with database.reading() as session:
        rejected = session.scalars(query).all()
    recipes = [recipe_of(one) for one in rejected]
    bad = [one for one in rejected if was_judged_bad(one)]
    return Lessons(
        frozenset((recipe.prompt, recipe.seed) for recipe in recipes),
        frozenset(one.fingerprint for one in bad),
        frozenset(one.reason for one in bad),
    )


def seen_from_afar(reference: Pixels, picture: Pixels) -> float:
    """How much SSIMULACRA2 finds wrong with what is left of both when they are made smaller."""
    return 100 - ssimulacra2(_smaller(reference), _smaller(picture))


def lost_sharpness(reference: Pixels, picture: Pixels) -> float:
    """Percent of the reference's edges that are missing; 0 where the picture has as many."""
    sharp, found = _edges(reference), _edges(picture)
    return max(0.0, 100 * (1 - found / sharp)) if sharp else 0.0


def worst_patch(reference: Pixels, picture: Pixels) -> float:
    """The mean of SSIMULACRA2's error map in the patch where it is largest."""
    faults = error_map(reference, picture)
    rows, columns = (max(1, side // _PATCH) for side in faults.shape)
    tall, wide = faults.shape[0] // rows, faults.shape[1] // columns
    patches = faults[: rows * tall, : columns * wide].reshape(rows, tall, columns, wide)
    return float(patches.mean(axis=(1, 3)).max())


_MEASURES: Final[Mapping[str, Callable[[Pixels, Pixels], float]]] = {
    "wrong shape": seen_from_afar,
    "wrong view": seen_from_afar,
    "blurred": lost_sharpness,
    "artefacts": worst_patch,
}


def _smaller(pixels: Pixels) -> Pixels:
    # Small pictures have their shape at full size.
    factor = _AFAR if min(pixels.shape[:2]) >= 64 * _AFAR else 1
    height, width = (side // factor for side in pixels.shape[:2])
    whole = pixels[: height * factor, : width * factor]
    return np.asarray(
        whole.reshape(height, factor, width, factor, 3).mean(axis=(1, 3)).round(), np.uint8
    )


def _edges(pixels: Pixels) -> float:
    grey = pixels.astype(np.float32).mean(axis=2)
    return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())
