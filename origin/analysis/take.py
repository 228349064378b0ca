"""Take a family from the list into training: its gallery, with the manifest that is proposed."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from kvsync.errors import InputError
from origin.analysis.attributes import Proposal, family_name, from_names, from_pictures
from origin.analysis.descriptor import Pixels, thumbnail
from origin.analysis.families import Family
from origin.analysis.place import Place
from origin.gallery import read_gallery


@dataclass(frozen=True)
class Taken:
    """A gallery that ``train`` and ``dehydrate`` take; ``left_out`` are members of other sizes."""

    folder: Path
    family: str
    assets: int
    proposal: Proposal
    left_out: int


def take(family: Family, places: Mapping[str, Place], out: Path) -> Taken:
    """Write the gallery of ``family`` as the folder ``out``, read from its customers' places.

    Members of another size than the commonest are left out. Files keep their paths, so that
    ``dehydrate`` finds them in the property. Raises InputError where nothing tells members apart,
    or ``out`` is there already.
    """
    if out.exists():
        raise InputError(f"{out}: there already; name another folder, or remove it")
    if len(family.customers) > 1:
        raise InputError(
            f"{family.id} is of {', '.join(family.customers)}: take one customer's own"
        )
    own = family.of_one_size()
    place = places[family.customers[0]]
    proposal = propose(own, place)
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        folder = Path(scratch) / out.name
        assets = []
        for member, shows in zip(own.members, proposal.values, strict=True):
            file = member.path.lstrip("/")
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(place.read(member.path))
            assets.append({"file": file, "attributes": dict(shows), "bytes": member.size})
        shared = os.path.commonpath([os.path.dirname(str(one["file"])) for one in assets])
        manifest = {
            "family": family_name(family),
            "prompt": proposal.prompt,
            "below": f"{shared}/" if shared else "",
            "assets": assets,
        }
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
        read_gallery(folder)
        shutil.move(folder, out)
    left_out = len(family.members) - len(own.members)
    return Taken(out, family_name(family), len(own.members), proposal, left_out)


def propose(family: Family, place: Place) -> Proposal:
    """Attributes by the names, or by the pictures where names say nothing. Raises InputError."""
    proposal = from_names(family)
    if proposal is None:
        thumbnails = np.stack([_thumbnail(place, one.path) for one in family.members])
        proposal = from_pictures(family.arrangements, thumbnails)
    if proposal is None:
        raise InputError(
            f"{family.id}: neither names nor pictures say what its members differ in; "
            "write a manifest"
        )
    return proposal


def _thumbnail(place: Place, path: str) -> Pixels:
    return thumbnail(place.read(path))[0]
