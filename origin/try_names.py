"""What pictures show, guessed from how their files are named: red-white-front.jpg."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath

Words = tuple[str, ...]
Columns = list[Words]  # one tuple per attribute, as long as there are files

CAMEL = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


def attributes_from_names(names: Sequence[PurePosixPath]) -> list[dict[str, str]] | None:
    """An attribute for each part of the names (folders count) that takes few values again and
    again; None when there is no such part.

    A part that never repeats, such as a number that counts the files, is none; of two parts that
    always change together one is kept. Names may have unequal numbers of words: then the
    first or the last part takes the rest.
    """
    trials = [attributes for columns in _arrangements(names) if (attributes := _telling(columns))]
    if not trials:
        return None
    chosen = min(trials, key=_told_apart_then_short)
    parts = {f"part{at}": column for at, column in enumerate(chosen, 1)}
    return [{part: column[file] for part, column in parts.items()} for file in range(len(names))]


def _arrangements(names: Sequence[PurePosixPath]) -> Iterator[Columns]:
    """Every way of laying names out in columns, the likeliest first."""
    splits: tuple[Callable[[str], list[str]], ...] = (
        lambda stem: stem.split("_"),
        lambda stem: stem.split(" "),
        lambda stem: re.split(r"[-_ .]+", stem),
        CAMEL.findall,
    )
    for split in splits:
        rows = [[*name.parent.parts, *filter(None, split(name.stem))] for name in names]
        fewest = min(map(len, rows))
        if fewest == 0:
            continue
        for joined in (_last_takes_the_rest, _first_takes_the_rest):
            yield list(zip(*(joined(row, fewest) for row in rows), strict=True))


def _last_takes_the_rest(row: list[str], parts: int) -> Words:
    return (*row[: parts - 1], " ".join(row[parts - 1 :]))


def _first_takes_the_rest(row: list[str], parts: int) -> Words:
    cut = len(row) - parts + 1
    return (" ".join(row[:cut]), *row[cut:])


def _telling(columns: Columns) -> Columns:
    """The columns that vary, repeat, and say something that no earlier one says."""
    kept: Columns = []
    for column in columns:
        values = len(set(column))
        repeats = 2 <= values <= len(column) / 2
        if repeats and not any(_alike(column, other) for other in kept):
            kept.append(column)
    # More values than pictures to learn them from explain anything and foretell nothing.
    return kept if sum(len(set(column)) for column in kept) <= len(columns[0]) else []


def _told_apart_then_short(columns: Columns) -> tuple[int, int]:
    return -len(set(zip(*columns, strict=True))), sum(len(set(column)) for column in columns)


def _alike(first: Words, second: Words) -> bool:
    pairs = len(set(zip(first, second, strict=True)))
    return pairs == len(set(first)) == len(set(second))
