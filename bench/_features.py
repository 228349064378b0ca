"""What each feature of a picture adds to grouping, where names and sizes say nothing.

Average linkage over cosines of one feature, or over the mean of two features' cosines, cut at the
distance that is best on the tuning inventory; the others that may be looked at are cut there too.
"""

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from bench._corpus import DEVELOPMENT, Inventory, Labels, drawings, lay_out
from bench._grouping import Groups, Labelling, agreement
from origin.analysis.descriptor import Pixels, describe, small_picture, thumbnail
from origin.analysis.looking import BATCH
from origin.analysis.network import FeatureNetwork
from origin.analysis.templates import FEWEST

Floats = NDArray[np.float32]
Feature = Callable[[Sequence[Pixels]], Floats]

EDGES: Final = "edges"
SIDE: Final = 128
CUTS: Final = 100
COLOURS: Final = 4


@dataclass(frozen=True)
class Described:
    """An inventory's pictures: every feature as (pictures, ...) unit vectors, what it cost of
    processor time a picture, and the labels of both kinds."""

    paths: tuple[str, ...]
    features: dict[str, Floats]
    ms: dict[str, float]
    families: Labels
    drawn: Labels


@dataclass(frozen=True)
class Cut:
    """Adjusted Rand indices by inventory, of families and of single drawings."""

    families: dict[Inventory, float]
    drawn: dict[Inventory, float]


def tell_features(console: Console, network: FeatureNetwork | None) -> dict[str, Cut]:
    """Print a row for every feature, and for edges with each of the others."""
    known = {name: _described(name, network) for name in DEVELOPMENT}
    every = list(known["tuning"].features)
    ways = [(name,) for name in every] + [(EDGES, name) for name in every if name != EDGES]
    columns = [f"{kind}\n{name}" for kind in ("families", "drawings") for name in DEVELOPMENT]
    table = Table("feature", *columns, "ms", title="ARI by pictures alone, average linkage")
    found = {}
    for way in ways:
        cut = best_cut(known, way)
        scores = [*cut.families.values(), *cut.drawn.values()]
        ms = sum(known["tuning"].ms[name] for name in way)
        table.add_row(" and ".join(way), *(f"{score:.3f}" for score in scores), f"{ms:.2f}")
        found[" and ".join(way)] = cut
    console.print(table)
    return found


def _described(name: Inventory, network: FeatureNetwork | None) -> Described:
    with tempfile.TemporaryDirectory(prefix="corpus-") as folder:
        labels = lay_out(name, Path(folder))
        paths = tuple(sorted(labels))
        files = [(Path(folder) / path).read_bytes() for path in paths]
    features, ms = {}, {}
    began = time.process_time()
    edges = describe(np.stack([thumbnail(file)[0] for file in files]))
    features[EDGES] = _units(edges)
    ms[EDGES] = _ms_since(began, files)
    shown = [small_picture(file, SIDE) for file in files]
    for title, feature in _others(network).items():
        began = time.process_time()
        features[title] = _units(feature(shown))
        ms[title] = _ms_since(began, files)
    return Described(paths, features, ms, labels, drawings(labels))


def _others(network: FeatureNetwork | None) -> dict[str, Feature]:
    """What a feature is called, and how it is had of decoded pictures."""
    found: dict[str, Feature] = {
        "pHash": lambda shown: _signs(imagehash.phash(Image.fromarray(one)) for one in shown),
        "dHash": lambda shown: _signs(imagehash.dhash(Image.fromarray(one)) for one in shown),
        "colours": _colours,
    }
    if network is not None:
        found["network"] = lambda shown: network.embed_many(shown, BATCH).astype(np.float32)
    return found


def _signs(hashes: Iterable[imagehash.ImageHash]) -> Floats:
    """(pictures, 64) of -1 and 1: their cosine is one less a thirty-second of differing bits."""
    return np.stack([np.where(one.hash.ravel(), 1, -1) for one in hashes]).astype(np.float32)


def _colours(shown: Sequence[Pixels]) -> Floats:
    """(pictures, 64) how much there is of each of four levels of red, green and blue together."""
    counts = [
        np.bincount(
            (one // (256 // COLOURS)).reshape(-1, 3) @ np.array([COLOURS**2, COLOURS, 1]),
            minlength=COLOURS**3,
        )
        for one in shown
    ]
    return np.sqrt(np.stack(counts).astype(np.float32))


def _units(directions: NDArray[np.int8] | Floats) -> Floats:
    found = directions.astype(np.float32)
    found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6)
    return found


def _ms_since(began: float, files: Sequence[bytes]) -> float:
    return 1000 * (time.process_time() - began) / len(files)


def best_cut(known: dict[Inventory, Described], way: tuple[str, ...]) -> Cut:
    """Every inventory cut where the tuning one's families, or drawings, come out best."""
    trees = {name: _tree(of, way) for name, of in known.items()}
    best = {
        kind: max(
            np.quantile(trees["tuning"][:, 2], np.linspace(0, 1, CUTS)),
            key=lambda at: _score(known["tuning"], trees["tuning"], at, kind),
        )
        for kind in ("families", "drawn")
    }
    return Cut(
        *(
            {name: _score(known[name], trees[name], best[kind], kind) for name in known}
            for kind in ("families", "drawn")
        )
    )


def _tree(of: Described, way: tuple[str, ...]) -> NDArray[np.float64]:
    apart = 1 - np.mean([of.features[name] @ of.features[name].T for name in way], axis=0)
    np.fill_diagonal(apart, 0)
    tree: NDArray[np.float64] = linkage(
        squareform(np.maximum(apart, 0), checks=False), method="average"
    )
    return tree


def _score(of: Described, tree: NDArray[np.float64], farthest: float, kind: str) -> float:
    labels = of.families if kind == "families" else of.drawn
    truth = [labels[path] or path for path in of.paths]
    return agreement(truth, _cells(of.paths, fcluster(tree, farthest, "distance").tolist()))[0]


def _cells(paths: Sequence[str], cells: Sequence[int]) -> Labelling:
    """Cells of fewer than four are no families: their pictures are alone."""
    groups: dict[int, list[str]] = {}
    for path, cell in zip(paths, cells, strict=True):
        groups.setdefault(cell, []).append(path)
    big: Groups = [group for group in groups.values() if len(group) >= FEWEST]
    of = {path: str(at) for at, group in enumerate(big) for path in group}
    return [of.get(path, path) for path in paths]
