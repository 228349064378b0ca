"""Approvals from a file, taken over only where this machine makes the approved picture.

Nothing here loads torch unless there is something to generate.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from kvsync.errors import InputError
from origin.approved import Approved
from origin.database import Database
from origin.ledger.own_work import OwnWork
from origin.qa import approved_candidate, differs_from_original, import_approved
from origin.site import Site
from regional_gpu.generator.model_folder import describe

_BATCH = 8


def take_over(
    database: Database,
    site: Site,
    entries: Sequence[Approved],
    model: Path,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, str]:
    """Generate each approval's picture from ``model``; import what matches its fingerprint.

    Returns the paths of the others with the reason. ``told`` hears (done, total) as it goes.
    :class:`InputError` when the approvals are of another model.
    """
    digest = describe(model).digest.hex()
    if other := {entry.recipe.model for entry in entries} - {digest}:
        raise InputError(
            f"{model}: is model {digest[:8]}, the approvals are of {min(other)[:8]}; "
            "name the right folder with --model, or one that is whole"
        )
    refused: dict[str, str] = {}
    fresh = []
    for entry in entries:
        if fault := differs_from_original(database, site, entry) or _decided(database, site, entry):
            if fault != "approved":
                refused[entry.path] = fault
        else:
            fresh.append(entry)
    if fresh:
        with OwnWork(database, site.id, fresh[0].family) as own:
            mismatches = _generate_and_compare(fresh, model, told, own.made)
        refused.update(mismatches)
        import_approved(database, site, [one for one in fresh if one.path not in mismatches])
    return refused


def _decided(database: Database, site: Site, entry: Approved) -> str:
    """``approved`` for an approval that was taken over before, why not if it was rejected."""
    with database.reading() as session:
        candidate = approved_candidate(session, site, entry)
        if candidate is None or candidate.state not in ("approved", "rejected"):
            return ""
        if candidate.state == "rejected":
            return f"rejected here ({candidate.reason}); approve it by name to publish it"
        same_check = candidate.fingerprint == entry.check.digest
        return "approved" if same_check else "approved here with another fingerprint"


def _generate_and_compare(
    entries: Sequence[Approved],
    model: Path,
    told: Callable[[int, int], None],
    made: Callable[[int], None],
) -> dict[str, str]:
    """The entries whose picture, made on this machine, is not the approved one; ``made`` hears how
    many more were made."""
    from regional_gpu.generator.fingerprint import ALGORITHM, compare
    from regional_gpu.generator.load import Job, load

    generator = load(model)
    mismatches: dict[str, str] = {}
    for start in range(0, len(entries), _BATCH):
        batch = entries[start : start + _BATCH]
        jobs = [Job.of(entry.recipe.recipe()) for entry in batch]
        for entry, picture in zip(batch, generator.generate(jobs), strict=True):
            if entry.check.algorithm != ALGORITHM:
                mismatches[entry.path] = f"its check {entry.check.algorithm!r} is not known here"
                continue
            masks = generator.masks(entry.recipe.prompt)
            found = compare(picture, masks, entry.check.digest)
            if not found.matches:
                mismatches[entry.path] = (
                    f"this machine's picture differs by {found.distance:.2f} of the "
                    f"tolerance ({found.worst})"
                )
        made(len(batch))
        told(start + len(batch), len(entries))
    return mismatches
