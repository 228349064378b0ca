"""Quality assurance: candidates, the people who decide on them, and what they decided."""

import getpass
import os
import secrets
import time
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from kvsync.errors import InputError
from kvsync.record import Original, PromptRecipe, Recipe
from origin.approved import Approved, CheckLine, Metrics, OriginalLine, RecipeLine
from origin.dam import AssetNotFound
from origin.database import Database
from origin.inventory import current_original, find_asset, note_asset
from origin.site import Site
from origin.tables import ApproverRow, AssetRow, AuditRow, CandidateRow, State

Sort = Literal["worst", "best", "path"]

WRONG_COLOUR: Final = "wrong colour"
WRONG_ORIGINAL: Final = "the original is wrong"
REASONS: Final = (
    WRONG_COLOUR,
    "wrong shape",
    "wrong view",
    "blurred",
    "artefacts",
    WRONG_ORIGINAL,
    "other",
)
"""Why a picture is rejected; what each teaches the next fit says :mod:`origin.lessons`."""

REVOKED: Final = "revoked: "
_OF_THE_ASSET: Final = (REVOKED, "its original ")


def this_user() -> str:
    """The account that runs a command, for the audit."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def audit(session: Session, who: str, what: str, subject: str, **detail: Any) -> None:
    session.add(AuditRow(at=int(time.time()), who=who, what=what, subject=subject, detail=detail))


def recipe_of(candidate: CandidateRow) -> PromptRecipe:
    """The recipe with all that it takes to generate it, however large."""
    recipe: PromptRecipe = msgspec.msgpack.decode(candidate.recipe, type=Recipe)
    return recipe if candidate.payload is None else recipe.with_payload(candidate.payload)


def was_judged_bad(candidate: CandidateRow) -> bool:
    """Whether somebody rejected the picture itself, and did not just withdraw the asset."""
    return candidate.state == "rejected" and not candidate.reason.startswith(_OF_THE_ASSET)


def list_candidates(
    database: Database, property: str, state: State | None = None, sort: Sort = "worst"
) -> Sequence[CandidateRow]:
    orders: dict[Sort, ColumnElement[Any]] = {
        "worst": CandidateRow.ssimulacra2.asc(),
        "best": CandidateRow.ssimulacra2.desc(),
        "path": AssetRow.path.asc(),
    }
    query = select(CandidateRow).join(AssetRow).where(AssetRow.property == property)
    if state is not None:
        query = query.where(CandidateRow.state == state)
    with database.reading() as session:
        return session.scalars(query.order_by(orders[sort], AssetRow.path, CandidateRow.id)).all()


def approve(
    database: Database, site: Site, patterns: Iterable[str], *, by: str, above: float | None = None
) -> list[str]:
    """Approve what is open under ``patterns``, of at least the score ``above``; their paths.

    A pattern finds what is proposed; what fell short or was rejected has to be named itself.
    """
    if not by.strip():
        raise InputError("approving needs a person: --by NAME")
    with database.writing() as session:
        chosen = _choose(session, site, patterns, ("proposed", "rejected", "short"))
        if above is not None:
            chosen = [one for one in chosen if one.ssimulacra2 >= above]
        approver = find_or_add_approver(session, by.strip())
        for candidate in chosen:
            decide_one(candidate, "approved", approver.id, "", int(time.time()))
            audit(session, by, "approve", candidate.asset.path, score=candidate.ssimulacra2)
    return [candidate.asset.path for candidate in chosen]


def reject(
    database: Database, site: Site, patterns: Iterable[str], *, by: str, reason: str
) -> list[str]:
    """Reject what is proposed under ``patterns``, or approved and named itself; their paths."""
    if not reason.strip():
        raise InputError("rejecting needs a reason: --reason TEXT")
    with database.writing() as session:
        chosen = _choose(session, site, patterns, ("proposed", "approved"))
        reject_candidates(session, chosen, by=by, reason=reason)
    return [candidate.asset.path for candidate in chosen]


def reject_candidates(
    session: Session, candidates: Iterable[CandidateRow], *, by: str, reason: str
) -> None:
    approver = find_or_add_approver(session, by)
    for candidate in candidates:
        decide_one(candidate, "rejected", approver.id, reason, int(time.time()))
        audit(session, by, "reject", candidate.asset.path, reason=reason)


def find_or_add_approver(session: Session, name: str) -> ApproverRow:
    found = session.scalars(select(ApproverRow).where(ApproverRow.name == name)).one_or_none()
    if found is None:
        found = ApproverRow(id=secrets.token_bytes(8), name=name)
        session.add(found)
        session.flush()
    return found


def export_approved(database: Database, property: str) -> list[Approved]:
    """The approval that counts of every asset, by path."""
    return [_line_of(row) for row in newest_approved(database, property)]


def newest_approved(database: Database, property: str) -> list[CandidateRow]:
    """Of each asset the candidate approved last, by path; of two at once, the one found later."""
    newest: dict[int, CandidateRow] = {}
    approved = list_candidates(database, property, "approved", "path")
    for candidate in sorted(approved, key=lambda one: (one.decided_at or 0, one.id)):
        newest[candidate.asset_id] = candidate
    return sorted(newest.values(), key=lambda one: one.asset.path)


def differs_from_original(database: Database, site: Site, entry: Approved) -> str | None:
    """Why an approval does not hold for the original that is in the asset store now, if so."""
    return differs_now(database, site, entry.path, bytes.fromhex(entry.original.digest))


def differs_now(database: Database, site: Site, path: str, approved: bytes) -> str | None:
    """The same, for the digest of the original that was approved at a path."""
    try:
        now = current_original(database, site, path)
    except AssetNotFound:
        return "its original is not in the asset store"
    if now.digest != approved:
        return "its original is not the one that was approved: approve it anew"
    return None


def approved_candidate(session: Session, site: Site, entry: Approved) -> CandidateRow | None:
    """The candidate that an approval speaks of, of the original that was approved."""
    asset = find_asset(session, site.id, site.request(entry.path).key)
    if asset is None:
        return None
    original = bytes.fromhex(entry.original.digest)
    return find_candidate(session, asset.id, original, entry.recipe.recipe())


def find_candidate(
    session: Session, asset_id: int, original: bytes, recipe: PromptRecipe
) -> CandidateRow | None:
    """The candidate with this recipe for an asset whose original has the digest ``original``."""
    query = select(CandidateRow).where(
        CandidateRow.asset_id == asset_id,
        CandidateRow.original == original,
        CandidateRow.recipe == msgspec.msgpack.encode(recipe.as_signed()),
    )
    return session.scalars(query).one_or_none()


def find_or_add_candidate(
    session: Session, asset_id: int, original: bytes, recipe: PromptRecipe
) -> CandidateRow:
    """The same, or a new one: proposed, by no seeds yet, its figures for the caller to fill in."""
    found = find_candidate(session, asset_id, original, recipe)
    if found is None:
        asset = session.get_one(AssetRow, asset_id)
        named = recipe.as_signed()
        found = CandidateRow(
            asset_id=asset_id,
            property=asset.property,
            family=asset.family,
            path=asset.path,
            original=original,
            model=recipe.model,
            recipe=msgspec.msgpack.encode(named),
            payload=recipe.carried if named.kept else None,
            seeds_tried=0,
            state="proposed",
            made_at=int(time.time()),
        )
        session.add(found)
    return found


def import_approved(database: Database, site: Site, entries: Sequence[Approved]) -> None:
    """Take over approvals made elsewhere, with the approver that they name.

    What was decided here stays decided. :class:`InputError` if an original is another now.
    """
    for entry in entries:
        if fault := differs_from_original(database, site, entry):
            raise InputError(f"{entry.path}: {fault}")
    originals = [current_original(database, site, entry.path) for entry in entries]
    with database.writing() as session:
        for entry, original in zip(entries, originals, strict=True):
            _import_one(session, site, entry, original)


def _import_one(session: Session, site: Site, entry: Approved, original: Original) -> None:
    asset = note_asset(session, site, entry.path, entry.family, entry.attributes, original)
    candidate = find_or_add_candidate(session, asset.id, original.digest, entry.recipe.recipe())
    if candidate.state in ("approved", "rejected"):
        return
    candidate.algorithm, candidate.fingerprint = entry.check.algorithm, entry.check.digest
    candidate.ssimulacra2, candidate.delta_e = entry.metrics.ssimulacra2, entry.metrics.delta_e
    candidate.psnr = entry.metrics.psnr
    approver = find_or_add_approver(session, entry.approver)
    decide_one(candidate, "approved", approver.id, "", entry.approved_at)
    audit(session, this_user(), "import", entry.path, approver=entry.approver)


def _choose(
    session: Session, site: Site, patterns: Iterable[str], states: Sequence[State]
) -> list[CandidateRow]:
    """Candidates in one of ``states`` by path or pattern; a pattern finds only the first state."""
    query = select(CandidateRow).join(AssetRow).where(AssetRow.property == site.id)
    known = session.scalars(query.order_by(AssetRow.path, CandidateRow.id)).all()
    chosen: dict[int, CandidateRow] = {}
    for pattern in patterns:
        full = pattern if pattern.startswith("/") else site.prefix + pattern
        exact = [one for one in known if one.asset.path == full and one.state in states][-1:]
        # On Rumba no path has a wildcard in it; elsewhere the exact name wins.
        found = exact or [
            one for one in known if fnmatchcase(one.asset.path, full) and one.state in states[:1]
        ]
        if not found and "*" not in pattern:
            raise InputError(f"{full}: no candidate to decide on; see ./rehydrate qa list")
        chosen.update((one.id, one) for one in found)
    return list(chosen.values())


def decide_one(
    candidate: CandidateRow, state: State, approver: bytes, reason: str, now: int
) -> None:
    """What a person said of a candidate, when; the audit is the caller's."""
    candidate.state, candidate.reason = state, reason
    candidate.decided_by, candidate.decided_at = approver, now


def _line_of(row: CandidateRow) -> Approved:
    asset = row.asset
    return Approved(
        path=asset.path,
        family=asset.family,
        attributes=asset.attributes,
        recipe=RecipeLine.of(recipe_of(row)),
        check=CheckLine(row.algorithm, row.fingerprint),
        metrics=Metrics(round(row.ssimulacra2, 3), round(row.delta_e, 3), round(row.psnr, 3)),
        original=OriginalLine(asset.validator, row.original.hex(), asset.media_type, asset.size),
        approver=row.approver.name if row.approver else "",
        approved_at=row.decided_at or 0,
    )
