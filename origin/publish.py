"""Approved candidates to signed records, in the database; :mod:`origin.sync` brings them out."""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from sqlalchemy.orm import Session

from kvsync.errors import RequestError
from kvsync.log import Canary, Put
from kvsync.record import Approval, Check, Original, RecordBody
from kvsync.signing import Envelope, SigningKey
from origin.database import Database, next_seq
from origin.inventory import current_original
from origin.live import live_record, used_records
from origin.model_store import ModelStore
from origin.qa import audit, newest_approved, recipe_of, this_user
from origin.revoke import withdraw_changed
from origin.site import Site
from origin.sync.outbox import append
from origin.tables import CandidateRow, RecordRow
from regional_gpu.generator.model_folder import describe

DAY_S = 86_400


@dataclass
class Published:
    """What publishing came to: paths signed now, how many were already, and why others were not."""

    signed: list[str] = field(default_factory=list)
    already: int = 0
    refused: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Publisher:
    site: Site
    database: Database
    models: ModelStore
    key: SigningKey
    approval_days: int = 365
    by: str = field(default_factory=this_user)
    # Only these regions are to use what is published: docs/decisions/0013-canary.md.
    regions: tuple[str, ...] = ()
    # Whether what is published takes the place of canaries.
    lifts: bool = False

    def add_model(self, folder: Path, family: str) -> bytes:
        """Keep a model for the regions to pull; its digest."""
        manifest = describe(folder)
        self.models.add(folder, manifest, property=self.site.id, family=family, key=self.key)
        return manifest.digest

    def publish(self, only: Collection[int] | None = None) -> Published:
        """Sign a record for every approved candidate that has none yet, in one transaction.

        ``only`` are the ids of the assets that it is about, else all. Of two approved candidates
        of one asset the later approval counts. One whose original is another now, or whose model
        is not here, is refused with the reason; so is one whose asset has a canary, unless this is
        what ``lifts`` it. A record that is live for an original that is another now, or gone, is
        withdrawn.
        """
        outcome = Published()
        if self.regions:
            # A tombstone that followed would take the canary along.
            self._withdraw(outcome)
        newest = {
            one.asset_id: one
            for one in newest_approved(self.database, self.site.id)
            if only is None or one.asset_id in only
        }
        held = {model: self.models.holds(model, self.key) for model in _models_of(newest.values())}
        originals = {id: self._original(one, held, outcome) for id, one in newest.items()}
        payloads = [one.payload for id, one in newest.items() if originals[id] and one.payload]
        self.models.payloads.keep(self.site.id, payloads)
        with self.database.writing() as session:
            for asset_id, candidate in newest.items():
                if original := originals[asset_id]:
                    self._publish_one(session, candidate, original, outcome)
        self.models.payloads.keep(self.site.id, payloads)
        # After signing: what was approved anew for the new original took the old record's place.
        self._withdraw(outcome)
        return outcome

    def _withdraw(self, outcome: Published) -> None:
        for path, why in withdraw_changed(self.database, self.site, self.key, by=self.by).items():
            outcome.refused[path] = f"{why}: its record was withdrawn; dehydrate it anew"

    def _original(
        self, candidate: CandidateRow, held: Mapping[bytes, bool], outcome: Published
    ) -> Original | None:
        """The candidate's original as it is now, if it may be published."""
        path = candidate.asset.path
        try:
            original = current_original(self.database, self.site, path)
        except RequestError:
            outcome.refused[path] = "its original is not in the asset store"
            return None
        if original.digest != candidate.original:
            outcome.refused[path] = "its original changed since it was approved; dehydrate it anew"
        elif not held[candidate.model]:
            name = candidate.model.hex()[:8]
            outcome.refused[path] = f"its model {name} is not kept here; name it with --model"
        else:
            return original
        return None

    def _publish_one(
        self, session: Session, candidate: CandidateRow, original: Original, outcome: Published
    ) -> None:
        now = int(time.time())
        not_after = (candidate.decided_at or 0) + self.approval_days * DAY_S
        path = candidate.asset.path
        if now >= not_after:
            outcome.refused[path] = f"its approval is older than {self.approval_days} days"
            return
        live = live_record(session, self.site.id, candidate.asset_id)
        mine = used_records(self.site.id).where(RecordRow.asset_id == candidate.asset_id)
        tried = session.scalars(mine.where(RecordRow.kind == "canary")).all()
        if tried and not self.lifts:
            outcome.refused[path] = "it is a canary: put it everywhere or take it back first"
            return
        # A live record that a canary stands before is signed anew, to be in force there again.
        if live is not None and not tried and self._is_current(live, candidate, original):
            outcome.already += 1
            return
        seq = next_seq(session, self.site.id)
        signed = self._body(candidate, original, seq, not_after).sign(self.key)
        replaced = [] if self.regions else [one for one in (*tried, live) if one is not None]
        for one in replaced:
            one.ended_at = now
        session.add(
            RecordRow(
                property=self.site.id,
                seq=seq,
                asset_id=candidate.asset_id,
                candidate_id=candidate.id,
                kind="canary" if self.regions else "record",
                made_at=now,
            )
        )
        key = candidate.asset.key
        entry = Canary(seq, key, signed, self.regions) if self.regions else Put(seq, key, signed)
        append(session, self.site.id, [entry])
        where = {"regions": list(self.regions)} if self.regions else {}
        before = [one.seq for one in replaced]
        made = {"seq": seq, "candidate": candidate.id, "replaced": before, **where}
        audit(session, self.by, "publish", path, **made)
        outcome.signed.append(path)

    def _is_current(self, live: RecordRow, candidate: CandidateRow, original: Original) -> bool:
        envelope = Envelope.parse(live.signed)
        body = msgspec.msgpack.decode(envelope.body, type=RecordBody)
        return (
            live.candidate_id == candidate.id
            and envelope.key_id == self.key.key_id
            and body.original == original
            and body.approval.approved_at == candidate.decided_at
        )

    def _body(
        self, candidate: CandidateRow, original: Original, seq: int, not_after: int
    ) -> RecordBody:
        return RecordBody(
            kind="still",
            key=candidate.asset.key,
            property=self.site.id,
            family=candidate.asset.family,
            seq=seq,
            recipe=recipe_of(candidate).as_signed(),
            checks=(Check(0, candidate.algorithm, candidate.fingerprint),),
            original=original,
            approval=Approval(
                candidate.decided_by or b"",
                candidate.decided_at or 0,
                candidate.ssimulacra2,
                candidate.delta_e,
            ),
            not_after=not_after,
        )


def _models_of(candidates: Iterable[CandidateRow]) -> set[bytes]:
    return {one.model for one in candidates}
