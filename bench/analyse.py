"""The hit list's groups against labels, and what its steps cost.

Grouping was tuned on one inventory, and the scores of four more were seen while it was being made:
all five are development data. So the figure that is told is that of a sixth, by which nothing was
chosen. Each is also grouped by names alone and by pictures alone, to say what each gives. Costs are
of one core, in processor time.
"""

import random
import resource
import tempfile
import time
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench._corpus import GALLERIES, INVENTORIES, Inventory, drawings, lay_out
from bench._features import tell_features
from bench._grouping import Known, arrangements, as_known, described, judged, wholes
from bench._resumed import Steps
from origin.analysis.descriptor import LAYOUT
from origin.analysis.families import FARTHEST, find_families
from origin.analysis.forecast import left_out, recall_error, trained_families
from origin.analysis.kinds import kinds_of
from origin.analysis.listing import FolderPlace
from origin.analysis.looking import Looked, look_at
from origin.analysis.neighbours import PART, groups_of
from origin.analysis.network import FeatureNetwork
from origin.analysis.traffic import read_traffic

LOG_LINES: Final = 500_000
SIZES: Final = (1_000, 10_000, 100_000)
MILLION: Final = 1_000_000
IN_A_FAMILY: Final = 40
# The last is what the figure is told of.
IN_WORDS: Final[dict[Inventory, str]] = {
    "tuning": "development: tuned by",
    "judging": "development: seen while tuning",
    "held-out": "development: seen since",
    "fourth": "development: judged once",
    "fifth": "development: judged once",
    "unseen": "unseen: the figure",
}


def run(
    full: bool = False,
    network: Annotated[
        Path | None, typer.Option(help="Folder of a feature network, to say what it adds.")
    ] = None,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="Also say what each feature of a picture adds.")
    ] = False,
) -> dict[str, object]:
    """Group, judge and time; with `full` up to a million descriptors, resumed if interrupted."""
    console = Console()
    asked = FeatureNetwork(network) if network else None
    steps = Steps.of("analyse") if full else None
    sizes = (*SIZES, MILLION) if full else SIZES
    seconds = _scaling(sizes, steps)
    ari, f1 = _grouping(console, asked)
    if ablation:
        tell_features(console, asked)
    rate = images_per_s_core()
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
        f"of the unseen inventory: ARI {ari:.3f}, pairwise F1 {f1:.3f}; {peak_mb():,.0f} MB at "
        f"most; exponent from {sizes[0]:,} to {sizes[-1]:,} descriptors"
    )
    console.print(figures)
    if steps is not None:
        steps.printed()
    return figures


def _grouping(console: Console, network: FeatureNetwork | None) -> tuple[float, float]:
    """Prints the scores of all inventories by what is known; those of the unseen one, by names and
    pictures."""
    ways: list[Known] = [
        frozenset({"pictures"}),
        frozenset({"names"}),
        frozenset({"names", "pictures"}),
    ]
    if network is not None:
        ways += [frozenset({"pictures", "network"}), frozenset({"names", "pictures", "network"})]
    columns = ("inventory", "by", "ARI", "pairwise F1", "ARI of drawings", "F1 of drawings")
    table = Table(*columns, title="groups against labels of families, and of single drawings")
    told = 0.0, 0.0
    for name in INVENTORIES:
        with tempfile.TemporaryDirectory(prefix="corpus-") as folder:
            labels = lay_out(name, Path(folder))
            assets = described(Path(folder), network)
        for known in ways:
            shown = as_known(assets, known)
            families = find_families(shown)
            scores = judged(shown, [labels[one.path] for one in assets], wholes(families))
            drawn = drawings(labels)
            single = judged(shown, [drawn[one.path] for one in assets], arrangements(families))
            row = (f"{score:.3f}" for score in (*scores, *single))
            table.add_row(IN_WORDS[name], ", ".join(sorted(known)), *row)
            if known == {"names", "pictures"}:
                told = scores  # the last is of the unseen one
    console.print(table)
    return told


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


def _scaling(sizes: tuple[int, ...], steps: Steps | None) -> dict[int, float]:
    """Processor seconds by number of descriptors; those that ``steps`` has are not measured."""
    grouping_s(synthetic(1_000))  # the first pays for the start
    seconds = {}
    for size in sizes:
        if steps is not None and str(size) in steps:
            seconds[size] = float(steps[str(size)])
            continue
        seconds[size] = grouping_s(synthetic(size))
        if steps is not None:
            steps.keep(str(size), seconds[size])
    return seconds


def grouping_s(layouts: NDArray[np.int8]) -> float:
    """Processor seconds to find what lies alike, and kinds, as where no name says anything and all
    pictures are of one size: nothing is dearer."""
    unasked = np.empty((len(layouts), 0), np.int8)
    began = time.process_time()
    alike = groups_of(layouts, FARTHEST)
    kinds_of(layouts, unasked, [(1, 1)] * len(layouts), alike)
    return time.process_time() - began


def synthetic(count: int) -> NDArray[np.int8]:
    """(count, 256) descriptors: half in families of about 40, half like nothing else."""
    draw = np.random.default_rng(count)
    centres = _layouts(draw, max(1, count // 2 // IN_A_FAMILY))
    rounded = np.empty((count, LAYOUT), np.int8)
    for begin in range(0, count, PART):
        own = rounded[begin : begin + PART]
        every = _layouts(draw, len(own))
        members = len(own) // 2
        every[:members] = centres[draw.integers(0, len(centres), members)]
        every[:members] += 0.1 * np.abs(draw.standard_normal((members, LAYOUT), np.float32))
        every /= np.linalg.norm(every, axis=1, keepdims=True)
        own[:] = np.rint(127 * every)
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
