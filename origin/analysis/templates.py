"""How names are made: ``/rumba/{part1}-{part2}.jpg``, mined from the names alone.

Folders that hold the same names (``red/heart.png``, ``blue/heart.png``) are one part of a template,
so are codings, query parameters, and words within names. What makes a rule of words that names
share is that its parts cross: much of what they could be together is there. Everything here is a
function of the set of names.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from origin.analysis.crossing import Crossing, coded, cores, crossing, near
from origin.analysis.fields import Fields, ways
from origin.analysis.folders import PARTED, generalise, initials, sketch, spread
from origin.analysis.joined import Joined
from origin.analysis.marks import unmarked
from origin.analysis.names import CODE, ECHO, Folders, Name, apart, echoed, words_of
from origin.analysis.sheets import Row, Sheet, Template, kept, laid_out, template_of

FEWEST: Final = 4
# How often what a rule leaves over is mined again; in one folder few rules share words.
_MOST_RULES: Final = 8
# Two things in two or three colours may be called so by chance: of unrelated drawings some are.
_LEAST_GAIN: Final = 2
# Article numbers bring names together; years and counts are on anything.
_NUMBER: Final = re.compile(r"(?!(19|20)\d\d$)\d{3,}")


def mine(paths: Iterable[str]) -> list[Template]:
    """Templates of four paths or more, each path in one at most."""
    by_folder: dict[Folders, list[Name]] = defaultdict(list)
    for name in map(apart, sorted(paths)):
        by_folder[name.folders].append(name)
    spreading = spread({k: min(map(initials, names)) for k, names in by_folder.items()})
    beside: dict[Folders, list[Name]] = defaultdict(list)
    for folders, names in by_folder.items():
        for name in names:
            beside[*spreading[folders], name.suffix].append(name)
    merged: dict[Folders, list[Name]] = defaultdict(list)
    for folders, general in generalise({k: sketch(v) for k, v in beside.items()}).items():
        merged[general].extend(beside[folders])
    return [
        template
        for general in sorted(merged)
        for names in _of_one_query(merged[general])
        for template in _mined(general, names)
    ]


def _of_one_query(names: list[Name]) -> Iterator[list[Name]]:
    kinds: dict[tuple[str, ...], list[Name]] = defaultdict(list)
    for name in names:
        kinds[tuple(key for key, _ in name.parameters)].append(name)
    yield from (kinds[kind] for kind in sorted(kinds))


def _mined(general: Folders, names: list[Name]) -> Iterator[Template]:
    """Rules of names, and what shares words without one."""
    parted_at = [depth for depth, folder in enumerate(general[:-1]) if folder == PARTED]
    stems = []
    for name in names:
        stem = name.stem
        for depth in parted_at:
            stem = echoed(stem, name.folders[depth], f"{ECHO}{depth}")
        stems.append(words_of(stem))
    rows = [Row(name, own) for name, own in zip(names, unmarked(stems), strict=True)]
    waiting = [(together, _MOST_RULES) for together in _alike(rows)]
    while waiting:
        together, left = waiting.pop()
        if len(together) < FEWEST:
            continue
        found = _rule(general, together) if left else None
        if found is None:
            yield _without_rule(general, together)
            continue
        template, rest = found
        yield template
        waiting += [(one, left - 1) for one in _alike(rest)]


def _alike(rows: list[Row]) -> list[list[Row]]:
    """Names of one folder, in groups that share words in the same place from either end."""
    joined = Joined(len(rows))
    first: dict[tuple[int, int, str], int] = {}
    for at, row in enumerate(rows):
        words = row.marked.words.said
        if len(words) < 2:
            # Names of one word each: what is said by folders alone, or by nothing.
            joined.join(at, first.setdefault((0, 0, ""), at))
            continue
        for place, word in enumerate(words):
            if CODE.fullmatch(word) is None:
                for key in (
                    (0, place + 1, word.casefold()),
                    (0, place - len(words), word.casefold()),
                ):
                    joined.join(at, first.setdefault(key, at))
            elif _NUMBER.fullmatch(word):
                joined.join(at, first.setdefault((len(words), place, word), at))
    return [[rows[at] for at in members] for members in joined.groups()]


def _rule(general: Folders, rows: list[Row]) -> tuple[Template, list[Row]] | None:
    """The rule that says most names in fewest words, and the rows that do not follow it."""
    best: tuple[tuple[int, int], Fields, Sheet, Crossing] | None = None
    for fields in ways([row.marked.words for row in rows]):
        sheet = laid_out(general, [rows[at] for at in fields.at], fields)
        for core in cores(coded(sheet.columns), sheet.kinds):
            worth = core.gain, -sheet.letters
            if _believed(core, len(rows)) and (best is None or worth > best[0]):
                best = worth, fields, sheet, core
    if best is None:
        return None
    _, fields, sheet, core = best
    follows = np.flatnonzero(near(coded(sheet.columns), core)).tolist()
    taken = {fields.at[row] for row in follows}
    rest = [row for at, row in enumerate(rows) if at not in taken]
    return template_of(kept(sheet, follows), core), rest


def _believed(core: Crossing, count: int) -> bool:
    """Whether the names of a core are a rule, and no chance: they are half of those that share
    words, or twice as many as their values."""
    names = int(core.rows.sum())
    enough = 2 * names >= count or names >= 2 * core.values
    return core.made and core.gain >= _LEAST_GAIN and enough


def _without_rule(general: Folders, rows: list[Row]) -> Template:
    """Names that share words, in the columns that have fewest values."""
    words = [row.marked.words for row in rows]
    sheets = [laid_out(general, rows, one) for one in ways(words) if len(one.at) == len(rows)]
    best = min(sheets, key=lambda one: one.letters)
    every = np.ones(len(rows), np.bool_)
    return template_of(best, crossing(coded(best.columns), every, best.kinds), made=False)
