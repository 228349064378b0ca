"""The labelled inventories of ``bench analyse``, laid out as a folder."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "bench/corpus"
# Families that lie in the repository anyway; to tune by, as training was tuned by them too.
GALLERIES = {
    "rumba": ROOT / "origin/samples/rumba/gallery",
    "figures": ROOT / "bench/families/figures/gallery",
    "icons": ROOT / "bench/families/icons/gallery",
}

Labels = dict[str, str]
"""Path to family; "" for a picture that has nothing in common with any other."""


def lay_out(name: Literal["tuning", "judging"], folder: Path) -> Labels:
    """Put an inventory's files below ``folder``."""
    with zipfile.ZipFile(CORPUS / f"{name}.zip") as archive:
        labels: Labels = json.loads(archive.read("labels.json"))
        archive.extractall(folder, members=list(labels))
    if name == "tuning":
        for family, gallery in GALLERIES.items():
            shutil.copytree(gallery, folder / family)
            labels |= {f"{family}/{one.name}": family for one in gallery.iterdir()}
    return labels
