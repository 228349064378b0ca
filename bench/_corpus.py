"""The labelled inventories of ``bench analyse``, laid out as a folder."""

import json
import re
import shutil
import zipfile
from collections import Counter
from pathlib import Path
from typing import Final, Literal

from PIL import ImageColor

from origin.analysis.templates import FEWEST

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "bench/corpus"
# Families that lie in the repository anyway; to tune by, as training was tuned by them too.
GALLERIES = {
    "rumba": ROOT / "origin/samples/rumba/gallery",
    "figures": ROOT / "bench/families/figures/gallery",
    "icons": ROOT / "bench/families/icons/gallery",
}

Inventory = Literal["tuning", "judging", "held-out", "fourth", "fifth", "unseen"]
INVENTORIES: Final[tuple[Inventory, ...]] = (
    "tuning",
    "judging",
    "held-out",
    "fourth",
    "fifth",
    "unseen",
)
# What may be looked at while grouping is worked on; the one left is what it is judged by.
DEVELOPMENT: Final = INVENTORIES[:-1]

Labels = dict[str, str]
"""Path to family; "" for a picture that has nothing in common with any other."""

# What in their paths tells pictures of one drawing apart: colours, tones of skin, a deck's inks, a
# desktop's accents.
_COLOURING = re.compile(
    r"(?<![a-z0-9])((medium-)?(light|dark)|medium|1f3f[b-e]|[24]color|volt|sand|gum|mint|grape|rose"
    r"|forest|cobalt|sky|amber|(skin-)?tone[-_]?[1-6]|brave|dust|human|illustrious|noble|wine|wise"
    r"|skin[1-6]|(hair|skin)color=[0-9a-f]{6}|bark|viridian|bronze|platinum"
    rf"|{'|'.join(ImageColor.colormap)})(?![a-z0-9])",
    re.IGNORECASE,
)
# Families of one drawing each, under names that say nothing.
_OPAQUE = ("opaque-", "numbered-")


def drawings(labels: Labels) -> Labels:
    """Path to drawing: pictures of a family that differ in nothing but colours; "" for one of which
    there are too few to be a family."""
    named = {
        path: family if family.startswith(_OPAQUE) else f"{family} {_COLOURING.sub('', path)}"
        for path, family in labels.items()
        if family
    }
    counts = Counter(named.values())
    return {
        path: named[path] if path in named and counts[named[path]] >= FEWEST else ""
        for path in labels
    }


def lay_out(name: Inventory, folder: Path) -> Labels:
    """Put an inventory's files below ``folder``."""
    with zipfile.ZipFile(CORPUS / f"{name}.zip") as archive:
        labels: Labels = json.loads(archive.read("labels.json"))
        archive.extractall(folder, members=list(labels))
    if name == "tuning":
        for family, gallery in GALLERIES.items():
            shutil.copytree(gallery, folder / family)
            labels |= {f"{family}/{one.name}": family for one in gallery.iterdir()}
    return labels
