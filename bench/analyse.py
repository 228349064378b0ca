"""The hit list's groups against labels, and what its steps cost.

Grouping was tuned on one inventory and is judged on another, of other packages; each is also
grouped by names alone and by pictures alone, to say what each gives. Costs are of one core, in
processor time.
"""

import json
import random
import resource
import tempfile
import time
from collections import Counter
from dataclasses import replace
from hashlib import blake2b
from math import comb
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench._corpus import GALLERIES, Labels, lay_out
from origin.analysis.descriptor import LAYOUT
from origin.analysis.families import FARTHEST, Asset, find_families
from origin.analysis.forecast import left_out, recall_error, trained_families
from origin.analysis.listing import FolderPlace
from origin.analysis.looking import Looked, look_at
from origin.analysis.neighbours import groups_of
from origin.analysis.traffic import read_traffic

LOG_LINES: Final = 500_000
SIZES: Final = (1_000, 10_000, 100_000)
MILLION: Final = 1_000_000
IN_A_FAMILY: Final = 40

Known = Literal["names and pictures", "names", "pictures"]
Labelling = list[str]


def run(
    full: bool = False,
    resume: Annotated[Path, typer.Option(help="Where the sizes done so far are kept.")] = Path(
        "var/bench-analyse.json"
    ),
) -> dict[str, object]:
    """Group, judge and time; with `full` up to a million descriptors, resumed if interrupted."""
    console = Console()
    ari, f1 = _grouping(console)
    rate = images_per_s_core()
    sizes = (*SIZES, MILLION) if full else SIZES
    seconds = _scaling(sizes, resume if full else None)
    exponent = slope(seconds)
    lines = log_lines_per_s_core()
    error = recall_error(trained_families())
    _tell(console, seconds, error)
    figures: dict[str, object] = {
        "ari": round(ari, 3),
        "images_per_s_core": round(rate, 1),
        "exponent": round(exponent, 3),
        "log_lines_per_s": round(lines),
    }
    console.print(
        f"pairwise F1 {f1:.3f}; {peak_mb():,.0f} MB at most; exponent from {sizes[0]:,} to "
        f"{sizes[-1]:,} descriptors"
    )
    console.print(figures)
    return figures


def _grouping(console: Console) -> tuple[float, float]:
    """Prints the scores of both inventories by what is known; those of the judged one, by all."""
    table = Table("inventory", "by", "ARI", "pairwise F1", title="groups against labels")
    best = 0.0, 0.0
    for name in ("tuning", "judging"):
        with tempfile.TemporaryDirectory(prefix="corpus-") as folder:
            labels = lay_out(name, Path(folder))
            assets = described(Path(folder))
        for known in ("pictures", "names", "names and pictures"):
            scores = judged(assets, labels, known)
            table.add_row(name, known, *(f"{score:.3f}" for score in scores))
            best = scores  # the last is of the judged inventory, by all that is known
    console.print(table)
    return best


def described(folder: Path) -> list[Asset]:
    """Every image of a folder, looked at."""
    place = FolderPlace(folder)
    listed = [one for page in place.pages("") for one in page]
    looked = look_at(((one.path, one.size) for one in listed), place, lambda digest: None)
    contents = {one.digest: one for one in looked.contents if not one.why}
    sizes = {one.path: one.size for one in listed}
    return [
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


def judged(assets: list[Asset], labels: Labels, known: Known) -> tuple[float, float]:
    """Adjusted Rand index and pairwise F1; a picture that is in no family is alone."""
    shown = assets
    if known == "names":
        blank = np.zeros(LAYOUT, np.int8)
        shown = [replace(one, layout=blank) for one in assets]
    elif known == "pictures":
        shown = [replace(one, path=blake2b(one.path.encode()).hexdigest()) for one in assets]
    path_of = {one.path: own.path for one, own in zip(shown, assets, strict=True)}
    found = {
        path_of[member.path]: family.id
        for family in find_families(shown)
        for member in family.members
    }
    paths = [one.path for one in assets]
    return agreement(
        [labels[path] or path for path in paths], [found.get(path, path) for path in paths]
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


def images_per_s_core() -> float:
    """Rumba's 768x768 JPEGs: read, hashed, decoded, described."""
    place = FolderPlace(GALLERIES["rumba"])
    listed = [(one.path, one.size) for page in place.pages("") for one in page]
    _look(place, listed[:16])  # the first pays for the start
    began = time.process_time()
    looked = _look(place, listed)
    return len(looked.contents) / (time.process_time() - began)


def _look(place: FolderPlace, listed: list[tuple[str, int]]) -> Looked:
    return look_at(listed, place, lambda digest: None)


def _scaling(sizes: tuple[int, ...], kept: Path | None) -> dict[int, float]:
    """Processor seconds by number of descriptors; sizes in ``kept`` are not measured again."""
    seconds: dict[int, float] = {}
    if kept is not None and kept.is_file():
        seconds = {int(size): spent for size, spent in json.loads(kept.read_text()).items()}
    groups_of(synthetic(1_000), FARTHEST)  # the first pays for the start
    for size in sizes:
        if size in seconds:
            continue
        layouts = synthetic(size)
        began = time.process_time()
        groups_of(layouts, FARTHEST)
        seconds[size] = time.process_time() - began
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(seconds))
    return {size: seconds[size] for size in sizes}


def synthetic(count: int) -> NDArray[np.int8]:
    """(count, 256) descriptors: half in families of about 40, half like nothing else."""
    draw = np.random.default_rng(count)
    families = max(1, count // 2 // IN_A_FAMILY)
    centres = _layouts(draw, families)
    members = centres[draw.integers(0, families, count // 2)]
    members += 0.1 * np.abs(draw.standard_normal(members.shape, np.float32))
    every = np.concatenate([members, _layouts(draw, count - count // 2)])
    every /= np.linalg.norm(every, axis=1, keepdims=True)
    rounded: NDArray[np.int8] = np.rint(127 * every).astype(np.int8)
    return rounded


def _layouts(draw: np.random.Generator, count: int) -> NDArray[np.float32]:
    edges = np.abs(draw.standard_normal((count, LAYOUT), np.float32))
    return edges * (draw.random((count, LAYOUT), np.float32) < 0.5)


def slope(seconds: dict[int, float]) -> float:
    """The exponent of time over size, from the least to the largest."""
    sizes = np.log([float(size) for size in seconds])
    return float(np.polyfit(sizes, np.log(list(seconds.values())), 1)[0])


def log_lines_per_s_core() -> float:
    """Lines of Combined Log Format, a thousand assets, one thread."""
    draw = random.Random(0)
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
    with tempfile.TemporaryDirectory(prefix="logs-") as folder:
        log = Path(folder) / "access.log"
        with log.open("w") as file:
            for _ in range(LOG_LINES):
                state = draw.choice(("HIT", "HIT", "HIT", "MISS"))
                file.write(
                    f"203.0.113.{draw.randrange(256)} - - [20/Nov/2026:10:{draw.randrange(60):02}:"
                    f'{draw.randrange(60):02} +0000] "GET /rumba/{draw.randrange(1000)}.jpg '
                    f'HTTP/1.1" 200 {draw.randrange(60_000)} "https://shop.example/" "{agent}" '
                    f"{state}\n"
                )
        began = time.process_time()
        found = read_traffic([log], threads=1)
        spent = time.process_time() - began
    return found.lines / spent


def _tell(console: Console, seconds: dict[int, float], error: float) -> None:
    table = Table("descriptors", "processor seconds", "a second", title="grouping by picture")
    for size, spent in seconds.items():
        table.add_row(f"{size:,}", f"{spent:.2f}", f"{size / spent:,.0f}")
    console.print(table)
    table = Table("family", "recall", "foretold", title="recall, each foretold from the others")
    for one, foretold in left_out(trained_families()):
        table.add_row(one.family, f"{one.recall:.0%}", f"{foretold:.0%}")
    console.print(table)
    console.print(f"mean absolute error of recall: {error:.2f}")


def peak_mb() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
