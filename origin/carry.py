"""Approvals carried from one model of a family to the next, where the picture stayed the same.

What a person approved is a picture, not a model. A record moves to the new model by itself when
this machine's new picture is within :data:`TOLERANCE` of the one that the person saw, which the
old model makes again; otherwise it needs a person: docs/decisions/0010-carried-approvals.md.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from kvsync.errors import InputError, ModelError
from kvsync.record import PromptRecipe
from origin.database import Database
from origin.dehydrate import mean_delta_e
from origin.live import live_records
from origin.qa import audit, differs_now, find_or_add_candidate, recipe_of, this_user
from origin.site import Site
from origin.tables import CandidateRow, RecordRow
from regional_gpu.generator.fingerprint import ALGORITHM, compare, fingerprint
from regional_gpu.generator.load import Generator, Job, load
from regional_gpu.generator.score import ssimulacra2

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Tolerance:
    """How far a new picture may be from the approved one for its approval to be carried.

    ``distance`` is in fingerprint tolerances, under the old model's masks; ``ssimulacra2`` is the
    least score with the approved picture as reference (90 is "visually lossless" to the metric's
    authors); ``delta_e`` the largest mean CIEDE2000 inside the attributes' masks.
    """

    distance: float = 1.0
    ssimulacra2: float = 90.0
    delta_e: float = 1.0


TOLERANCE = Tolerance()


@dataclass(frozen=True)
class Carried:
    """What came of one record; ``why`` it needs a person, empty when its approval was carried."""

    path: str
    distance: float
    ssimulacra2: float
    delta_e: float
    why: str = ""

    @property
    def figures(self) -> str:
        return (
            f"{self.distance:.2f} tolerances, SSIMULACRA2 {self.ssimulacra2:.1f}, "
            f"ΔE {self.delta_e:.2f}"
        )


class Carrier:
    """Carries one property's approvals of a family to the model ``new``.

    ``folder_of`` tells where a kept model lies. Approvals are always compared with the picture
    that a person saw, also after they were carried before: steps cannot add up.
    """

    def __init__(
        self,
        database: Database,
        site: Site,
        new: Generator,
        folder_of: Callable[[bytes], Path],
        tolerance: Tolerance = TOLERANCE,
    ) -> None:
        self._database, self._site, self._new = database, site, new
        self._folder_of, self._tolerance = folder_of, tolerance
        self._old: dict[bytes, Generator] = {}

    def pending(self, family: str) -> list[RecordRow]:
        """The family's live records that still need another model."""
        with self._database.reading() as session:
            rows = session.scalars(live_records(self._site.id)).all()
            return [row for row in rows if row.asset.family == family and self._moves(row)]

    def carry(self, rows: Sequence[RecordRow]) -> Iterator[Carried]:
        """Compare and decide one by one; what was decided is written down at once."""
        for row in rows:
            assert row.candidate is not None
            with self._database.reading() as session:
                seen = _approved_by_a_person(session, row.candidate)
            yield self._carry_one(row.candidate, seen)

    def _moves(self, row: RecordRow) -> bool:
        return row.candidate is not None and row.candidate.model != self._new.digest

    def _carry_one(self, live: CandidateRow, seen: CandidateRow) -> Carried:
        path = live.asset.path
        if fault := differs_now(self._database, self._site, path, seen.original):
            return Carried(path, 0.0, 0.0, 0.0, fault)
        old_recipe = recipe_of(seen)
        recipe = msgspec.structs.replace(old_recipe, model=self._new.digest)
        try:
            old = self._load(seen.model)
            approved = old.generate([Job.of(old_recipe)])[0]
            made = self._new.generate([Job.of(recipe)])[0]
        except InputError as error:
            return Carried(path, 0.0, 0.0, 0.0, str(error))
        masks = old.masks(old_recipe.prompt)
        if not compare(approved, masks, seen.fingerprint).matches:
            return Carried(path, 0.0, 0.0, 0.0, "this machine does not make the approved picture")
        found = self._compared(path, approved, made, masks, seen.fingerprint)
        if not found.why:
            digest = fingerprint(made, self._new.masks(recipe.prompt))
            self._write_down(live, seen, recipe, digest, found)
        return found

    def _compared(
        self, path: str, approved: Pixels, made: Pixels, masks: Pixels, check: bytes
    ) -> Carried:
        if approved.shape != made.shape:
            return Carried(path, 0.0, 0.0, 0.0, "the new model makes another size")
        off = compare(made, masks, check)
        score = ssimulacra2(approved, made)
        colour = mean_delta_e(approved, made, masks)
        limit, why = self._tolerance, ""
        if off.distance > limit.distance:
            why = f"{off.worst} changed by {off.distance:.2f} tolerances"
        elif score < limit.ssimulacra2:
            why = f"SSIMULACRA2 {score:.1f} to the approved picture, below {limit.ssimulacra2:g}"
        elif colour > limit.delta_e:
            why = f"colours changed by ΔE {colour:.2f}, more than {limit.delta_e:g}"
        return Carried(path, off.distance, score, colour, why)

    def _load(self, digest: bytes) -> Generator:
        if digest not in self._old:
            folder = self._folder_of(digest)
            try:
                self._old[digest] = load(folder, expect=digest)
            except ModelError as error:
                raise InputError(f"the model that it was approved with is gone ({error})") from None
        return self._old[digest]

    def _write_down(
        self,
        live: CandidateRow,
        seen: CandidateRow,
        recipe: PromptRecipe,
        digest: bytes,
        found: Carried,
    ) -> None:
        with self._database.writing() as session:
            row = find_or_add_candidate(session, live.asset_id, seen.original, recipe)
            if row.state in ("approved", "rejected"):
                return  # A person decided on this very picture: that stands.
            row.seeds_tried = row.seeds_tried or live.seeds_tried
            row.algorithm, row.fingerprint = ALGORITHM, digest
            # The scores that the person saw: they speak of the picture that was approved.
            row.ssimulacra2, row.delta_e, row.psnr = seen.ssimulacra2, seen.delta_e, seen.psnr
            row.region_delta_e = seen.region_delta_e
            row.state, row.reason = "approved", f"carried: {found.figures}"
            row.decided_by, row.decided_at = seen.decided_by, seen.decided_at
            row.carried_from = seen.id
            _audit(session, seen, recipe.model, found)


def _audit(session: Session, seen: CandidateRow, model: bytes, found: Carried) -> None:
    audit(
        session,
        this_user(),
        "carry",
        found.path,
        model=model.hex(),
        approved_with=seen.model.hex(),
        distance=found.distance,
        ssimulacra2=found.ssimulacra2,
        delta_e=found.delta_e,
    )


def _approved_by_a_person(session: Session, candidate: CandidateRow) -> CandidateRow:
    """Where the approval comes from: the candidate itself unless it was carried."""
    if candidate.carried_from is None:
        return candidate
    return session.get_one(CandidateRow, candidate.carried_from)
