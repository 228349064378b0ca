"""What is judged against what: masters where there are any, combinations that nobody trained on."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from kvsync.errors import InputError
from origin.gallery import Asset, Gallery

SAMPLE_SIZE = 24
SAMPLE_SEED = 0


@dataclass(frozen=True)
class Subject:
    """One image to judge: the gallery's asset, and the asset whose file is its reference."""

    asset: Asset
    reference: Asset
    has_master: bool


def subjects(gallery: Gallery, masters: Path | None = None) -> list[Subject]:
    """Every image with its reference.

    That is the lossless file of the same stem in ``masters/`` of the gallery's folder where there
    is one, else the gallery's file. With ``masters``, only the images that have a master in that
    folder, or in ``masters/`` of it. Raises InputError when none has.
    """
    inner = (masters or gallery.folder) / "masters"
    known = masters_in(masters if masters and not inner.is_dir() else inner)
    found = [_subject(asset, known) for asset in gallery.assets]
    if masters is None:
        return found
    found = [one for one in found if one.has_master]
    if not found:
        raise InputError(f"{masters}: no PNG or lossless WebP there has the stem of a gallery file")
    return found


def unseen_subjects(unseen: Gallery, gallery: Gallery) -> list[Subject]:
    """The images of ``unseen`` in combinations that ``gallery`` lacks, with their references.

    Raises InputError when the two have other attributes, or no combination is left.
    """
    names = gallery.attributes
    if set(unseen.attributes) != set(names):
        raise InputError(
            f"{unseen.folder}: has the attributes {', '.join(unseen.attributes)}, "
            f"the gallery has {', '.join(names)}"
        )
    seen = {_combination(asset, names) for asset in gallery.assets}
    found = [one for one in subjects(unseen) if _combination(one.asset, names) not in seen]
    if not found:
        raise InputError(f"{unseen.folder}: the gallery has every combination of it")
    return found


def sample(found: Sequence[Subject], everything: bool) -> list[Subject]:
    """24 drawn by a fixed seed, in the gallery's order, or ``everything``."""
    if everything or len(found) <= SAMPLE_SIZE:
        return list(found)
    drawn = random.Random(SAMPLE_SEED).sample(range(len(found)), SAMPLE_SIZE)
    return [found[at] for at in sorted(drawn)]


def masters_in(folder: Path) -> dict[str, Path]:
    """Stem to lossless file, anywhere below ``folder``."""
    return {path.stem: path for path in sorted(folder.rglob("*")) if is_lossless(path)}


def is_lossless(path: Path) -> bool:
    """Whether this is a PNG, or a WebP file whose image data is a VP8L chunk (RFC 9649)."""
    if path.suffix.lower() == ".png":
        return path.is_file()
    if path.suffix.lower() != ".webp" or not path.is_file():
        return False
    data = path.read_bytes()
    at = 12
    while at + 8 <= len(data):
        if (kind := data[at : at + 4]) in (b"VP8L", b"VP8 "):
            return kind == b"VP8L"
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    return False


def _subject(asset: Asset, masters: Mapping[str, Path]) -> Subject:
    master = masters.get(Path(asset.file).stem)
    if master is None:
        return Subject(asset, asset, False)
    return Subject(asset, replace(asset, file=str(master.resolve())), True)


def _combination(asset: Asset, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(asset.attributes[name] for name in names)
