"""An inventory as the hit list would group it, by what is known of it, against its labels."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import blake2b
from math import comb
from pathlib import Path
from typing import Literal

import numpy as np

from origin.analysis.descriptor import LAYOUT, small_picture
from origin.analysis.families import Asset, Family
from origin.analysis.listing import FolderPlace
from origin.analysis.looking import BATCH, look_at
from origin.analysis.network import FeatureNetwork
from origin.analysis.templates import FEWEST

Known = frozenset[Literal["names", "pictures", "network"]]
"""By what is grouped; without names files are called by hashes, as many inventories call theirs."""
Labelling = list[str]
Groups = list[list[str]]


def described(folder: Path, network: FeatureNetwork | None = None) -> list[Asset]:
    """Every image of a folder, looked at, and shown to a network if there is one."""
    place = FolderPlace(folder)
    listed = [one for page in place.pages("") for one in page]
    looked = look_at(((one.path, one.size) for one in listed), place, lambda digest: None)
    contents = {one.digest: one for one in looked.contents if not one.why}
    sizes = {one.path: one.size for one in listed}
    found = [
        Asset(
            "bench",
            path,
            digest,
            sizes[path],
            contents[digest].width,
            contents[digest].height,
            np.frombuffer(contents[digest].descriptor, np.int8),
        )
        for path, digest in looked.digests
        if digest in contents
    ]
    if network is None:
        return found
    shown = (small_picture(place.read(one.path), network.side) for one in found)
    embeddings = network.embed_many(shown, BATCH)
    return [replace(one, embedding=own) for one, own in zip(found, embeddings, strict=True)]


def as_known(assets: list[Asset], known: Known) -> list[Asset]:
    """The assets with what is not known left out; in the same order."""
    shown = assets
    if "pictures" not in known:
        shown = [replace(one, layout=np.zeros(LAYOUT, np.int8)) for one in shown]
    if "names" not in known:
        shown = [replace(one, path=blake2b(one.path.encode()).hexdigest()) for one in shown]
    if "network" not in known:
        shown = [replace(one, embedding=np.empty(0, np.int8)) for one in shown]
    return shown


def wholes(families: Iterable[Family]) -> Groups:
    return [[one.path for one in family.members] for family in families]


def arrangements(families: Iterable[Family]) -> Groups:
    """What lies alike within families, where it is enough to be a family."""
    found: dict[tuple[str, int], list[str]] = defaultdict(list)
    for family in families:
        for one, arrangement in zip(family.members, family.arrangements, strict=True):
            found[family.id, arrangement].append(one.path)
    return [group for group in found.values() if len(group) >= FEWEST]


def judged(shown: Sequence[Asset], truth: Labelling, groups: Groups) -> tuple[float, float]:
    """Adjusted Rand index and pairwise F1 of groups of paths; what is labelled "", or in no group,
    is alone."""
    group_of = {path: str(at) for at, group in enumerate(groups) for path in group}
    paths = [one.path for one in shown]
    return agreement(
        [label or path for label, path in zip(truth, paths, strict=True)],
        [group_of.get(path, path) for path in paths],
    )


def agreement(truth: Labelling, found: Labelling) -> tuple[float, float]:
    """Adjusted Rand index (Hubert and Arabie 1985) and F1 over pairs."""
    both = _pairs(list(zip(truth, found, strict=True)))
    one, other, every = _pairs(truth), _pairs(found), comb(len(truth), 2)
    chance = one * other / every
    most = (one + other) / 2
    ari = (both - chance) / (most - chance) if most != chance else 1.0
    return ari, 2 * both / (one + other) if one + other else 1.0


def _pairs(labels: list[str] | list[tuple[str, str]]) -> int:
    counts: Counter[object] = Counter(labels)
    return sum(comb(count, 2) for count in counts.values())
