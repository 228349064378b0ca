"""Families trained in earnest, so that recall can be foretold from them.

From the list to scores without a hand in between: each family as the hit list finds it, taken as
``take`` does, trained and scored as ``try`` does. The tuning and judging inventories, drawings of
trades at 256x256 by three hands, and galleries that are named. With ``--held-out`` the third
inventory's are trained instead, and what was foretold of them is told beside what came; nothing is
kept of those. With ``--look``, for a change of how pictures are grouped, what came of a family's
training stays, and only what is known of it before is looked at anew. Goes on with the families
that an interrupted run had not trained.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from bench._content_families import drawn
from bench._corpus import Inventory, lay_out
from bench._corpus_packages import TONES, icons_of, unpacked
from bench._grouping import described
from bench._resumed import Steps
from kvsync.errors import InputError
from kvsync.files import write_file
from origin.analysis.families import Family, find_families
from origin.analysis.forecast import CALIBRATION, Trained, as_trained, recall_of, trained_families
from origin.analysis.listing import FolderPlace
from origin.analysis.sampling import sample
from origin.analysis.take import take
from origin.gallery import read_gallery
from origin.manifest import read_manifest
from origin.try_measure import measure

LEAST_SCORE = 80.0
TRADES = "astronaut cook farmer pilot scientist singer teacher".split()
# What a package calls a trade in a tone of skin.
HANDS = {
    "twemoji": "{gender}-{trade}-{tone}-skin-tone",
    "noto": "{gender}-{trade}-{tone}-skin-tone",
    "fluent": "{gender}-{trade}-{tone}",
}


@dataclass(frozen=True)
class Came:
    """What came of a family's training, as :class:`Trained` has it."""

    recall: float
    model_bytes: int
    cpu_s: float


@dataclass(frozen=True)
class Subject:
    """A family of the hit list, and the folder that it was found in."""

    name: str
    family: Family
    folder: Path


def run(
    galleries: Annotated[
        list[Path] | None, typer.Argument(help="Folders of further galleries to be trained.")
    ] = None,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Only compare, on the held-out inventory.")
    ] = False,
    look: Annotated[
        bool, typer.Option("--look", help="Train only families that never were.")
    ] = False,
) -> None:
    """Train every family, and write what recall is foretold from."""
    steps = Steps.of("calibration-held-out" if held_out else "calibration")
    console = Console()
    before = {one.family: one for one in trained_families()} if look else {}
    with TemporaryDirectory(prefix="calibration-") as scratch:
        subjects = _held_out(Path(scratch)) if held_out else _known(Path(scratch), galleries or ())
        found = [one for subject in subjects if (one := _trained(subject, before, steps, console))]
    if held_out:
        _compare(found, console)
    else:
        lines = ",\n".join(msgspec.json.encode(one).decode() for one in found)
        write_file(CALIBRATION, f"[\n{lines}\n]\n".encode())
    steps.printed()


def _held_out(scratch: Path) -> Iterator[Subject]:
    yield from _of_inventory("held-out", scratch)


def _known(scratch: Path, galleries: Sequence[Path]) -> Iterator[Subject]:
    yield from _of_inventory("tuning", scratch)
    yield from _of_inventory("judging", scratch)
    for name, called in HANDS.items():
        folder = scratch / f"trades-{name}"
        _draw_trades(unpacked(name, scratch / "packages"), called, folder)
        yield from _of_gallery(f"trades ({name})", folder)
    for gallery in galleries:
        manifest = read_manifest(gallery)
        yield from _of_gallery(manifest.family, gallery)


def _of_inventory(name: Inventory, scratch: Path) -> Iterator[Subject]:
    """The largest family of every kind of label: alike ones would foretell each other."""
    folder = scratch / name
    labels = lay_out(name, folder)
    met: set[str] = set()
    families = find_families(described(folder))
    for family in sorted(families, key=lambda one: (-len(one.members), one.id)):
        counts = Counter(labels[one.path] for one in family.members)
        label = counts.most_common(1)[0][0].partition("-")[0]
        if label and label not in met:
            met.add(label)
            yield Subject(f"{label} ({name})", family, folder)


def _of_gallery(name: str, folder: Path) -> Iterator[Subject]:
    """Its largest family, by the names that its files have."""
    families = find_families(described(folder))
    if not families:
        raise InputError(f"{folder}: no family in it")
    yield Subject(name, max(families, key=lambda one: len(one.members)), folder)


def _draw_trades(package: Path, called: str, folder: Path) -> None:
    folder.mkdir()
    icons = icons_of(package)
    for trade, gender, tone in product(TRADES, ("man", "woman"), TONES):
        svg = icons[called.format(trade=trade, gender=gender, tone=tone)]
        (folder / f"{trade}_{gender}_{tone}.webp").write_bytes(drawn(svg))


def _trained(
    subject: Subject, before: Mapping[str, Trained], steps: Steps, console: Console
) -> Trained | None:
    """None where nothing tells its members apart, which is told."""
    if subject.name in steps:
        return msgspec.convert(steps[subject.name], Trained)
    place = FolderPlace(subject.folder)
    own = subject.family.of_one_size()
    looked = sample(own, place)
    if looked is None:
        raise InputError(f"{subject.folder}: cannot be read any more")
    seen = as_trained(own, looked)
    try:
        came = before.get(subject.name) or _training(subject.family, place)
    except InputError as error:
        console.print(f"{subject.name}: left out: {error}", highlight=False)
        return None
    one = msgspec.structs.replace(
        seen,
        family=subject.name,
        size=round(seen.size, 1),
        coded=round(seen.coded, 1),
        recall=came.recall,
        model_bytes=came.model_bytes,
        cpu_s=came.cpu_s,
    )
    steps.keep(subject.name, msgspec.to_builtins(one))
    console.print(f"{subject.name}: {one.images} images, recall {one.recall:.0%}", highlight=False)
    return one


def _training(family: Family, place: FolderPlace) -> Came:
    """Raises InputError where nothing tells members apart."""
    with TemporaryDirectory(prefix="training-") as scratch:
        taken = take(family, {"bench": place}, Path(scratch) / "gallery")
        timer = _Timer()
        trial = measure(read_gallery(taken.folder), Path(scratch), timer.told)
    recall = trial.recall(LEAST_SCORE, unseen=False) or 0.0
    return Came(round(recall, 4), trial.report.model_bytes, round(timer.trained_s, 1))


class _Timer:
    """Processor seconds, this process's and its children's, until the first picture is drawn."""

    def __init__(self) -> None:
        self._began = _processor_s()
        self.trained_s = 0.0

    def told(self, doing: str, done: float) -> None:
        if doing == "drawing and scoring" and not self.trained_s:
            self.trained_s = _processor_s() - self._began


def _processor_s() -> float:
    spent = os.times()
    return time.process_time() + spent.children_user + spent.children_system


def _compare(found: Sequence[Trained], console: Console) -> None:
    known = trained_families()
    table = Table("family", "images", "recall", "foretold", title="recall of the held-out")
    foretold = [recall_of(one, known) for one in found]
    for one, said in zip(found, foretold, strict=True):
        table.add_row(one.family, str(one.images), f"{one.recall:.0%}", f"{said:.0%}")
    console.print(table)
    wrong = [abs(one.recall - said) for one, said in zip(found, foretold, strict=True)]
    console.print(f"mean absolute error of recall: {sum(wrong) / len(wrong):.2f}")


if __name__ == "__main__":
    typer.run(run)
