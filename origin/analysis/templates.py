"""How names are made: ``/rumba/{part1}-{part2}.jpg``, mined from the names alone.

Folders that hold the same names (``red/heart.png``, ``blue/heart.png``) are one part of a template,
so are codings, query parameters, and words within names. What makes a rule of words that names
share is that its parts cross: much of what they could be together is there. Everything here is a
function of the set of names.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from origin.analysis.crossing import Crossing, coded, cores, crossing, near
from origin.analysis.fields import Fields, parted, ways
from origin.analysis.folders import (
    PARTED,
    generalise,
    initials,
    overlapping,
    sketch,
    sketch_of,
    spread,
)
from origin.analysis.joined import Joined
from origin.analysis.marks import glued, unmarked
from origin.analysis.names import CODE, ECHO, Folders, Name, apart, echoed, words_of
from origin.analysis.sheets import Row, Sheet, Template, laid_out, template_of

FEWEST: Final = 4
# How often what a rule leaves over is mined again; in one folder few rules share words.
_MOST_RULES: Final = 8
# Two things in two or three colours may be called so by chance: of unrelated drawings some are.
_LEAST_GAIN: Final = 2
# One name with something between is odd; of two on it is how some are called.
_FEWEST_MORE: Final = 2
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
    """Names with the same parameters; or with others, if half of their stems are the same: then
    some are renditions of the others."""
    kinds: dict[tuple[str, ...], list[Name]] = defaultdict(list)
    for name in names:
        kinds[tuple(key for key, _ in name.parameters)].append(name)
    sketches = {kind: sketch_of(name.stem for name in own) for kind, own in kinds.items()}
    several = sorted(kind for kind, held in sketches.items() if len(held) > 1)
    for together in overlapping(several, sketches):
        kinds[together[0]] = [name for kind in together for name in kinds.pop(kind)]
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
    marked = unmarked(glued(stems))
    rows = [Row(name, own) for name, own in zip(names, marked, strict=True)]
    waiting = [(together, _MOST_RULES) for together in _alike(rows)]
    while waiting:
        together, left = waiting.pop()
        if len(together) < FEWEST:
            continue
        found = _rule(general, together) if left else None
        if found is None:
            _, sheet, crossed = _laid_out_best(general, together)
            yield template_of(sheet, crossed, made=False)
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
    """The rule that says most names in fewest words, and the rows that do not follow it.

    The fuller the better: two rules taken as one say more names, but leave most of their
    combinations unsaid.
    """
    best: tuple[tuple[float, int], list[int]] | None = None
    for fields in ways([row.marked.words for row in rows]):
        sheet = laid_out(general, [rows[at] for at in fields.at], fields)
        codes = coded(sheet.columns)
        every = cores(codes, sheet.kinds)
        core = max((one for one in every if _believed(one, len(rows))), key=_gain, default=None)
        if core is None:
            continue
        own = [fields.at[row] for row in np.flatnonzero(near(codes, core))]
        beside = set(fields.at)
        more, _, _ = _with_more(fields, [row for at, row in enumerate(rows) if at not in beside])
        gain = core.gain + len(more) - len({row.between for row in more})
        worth = core.filled * gain, -sheet.letters
        if best is None or worth > best[0]:
            best = worth, own
    if best is None:
        return None
    follows = set(best[1])
    own_rows = [row for at, row in enumerate(rows) if at in follows]
    rest = [row for at, row in enumerate(rows) if at not in follows]
    fields, sheet, found = _laid_out_best(general, own_rows)
    more, fields, place = _with_more(fields, rest)
    if more:
        paths = {row.name.path for row in more}
        rest = [row for row in rest if row.name.path not in paths]
        sheet = laid_out(general, own_rows + more, fields, place)
        found = crossing(coded(sheet.columns), np.ones(len(sheet.rows), np.bool_), sheet.kinds)
    return template_of(sheet, found), rest


def _gain(core: Crossing) -> int:
    return core.gain


def _laid_out_best(general: Folders, rows: list[Row]) -> tuple[Fields, Sheet, Crossing]:
    """All of the rows, in the columns that say them in fewest words."""
    every = np.ones(len(rows), np.bool_)
    found = []
    for fields in ways([row.marked.words for row in rows]):
        if len(fields.at) == len(rows):
            sheet = laid_out(general, rows, fields)
            crossed = crossing(coded(sheet.columns), every, sheet.kinds)
            found.append((fields, sheet, crossed))
    return max(found, key=lambda one: (one[2].made, one[2].made * one[2].gain, -one[1].letters))


def _with_more(fields: Fields, rest: Sequence[Row]) -> tuple[list[Row], Fields, int]:
    """Of ``rest``, names with one field more than a rule has, whose others the rule knows: they
    have something between; with the fields of all, and where that stands. What is a value itself
    (``medium``, before ``dark``) belongs to another one."""
    known = [{value.casefold() for value in column} for column in fields.columns]
    values = set().union(*known)
    found: dict[int, list[tuple[Row, tuple[str, ...]]]] = defaultdict(list)
    for row in rest if fields.separator is not None else ():
        gaps = row.marked.words.gaps[1:-1]
        if sum((fields.separator or "") in gap for gap in gaps) != len(known):
            continue
        said, _ = parted(row.marked.words, fields.separator or "")
        for place, more in enumerate(said):
            others = (*said[:place], *said[place + 1 :])
            knows = all(one.casefold() in own for one, own in zip(others, known, strict=True))
            if knows and more.casefold() not in values:
                found[place].append((replace(row, between=more), others))
    place = max(sorted(found), key=lambda at: len(found[at]), default=0)
    if len(found[place]) < _FEWEST_MORE:
        return [], fields, 0
    added = zip(*(others for _, others in found[place]), strict=True)
    columns = tuple(own + more for own, more in zip(fields.columns, added, strict=True))
    every = tuple(range(len(columns[0])))
    return [row for row, _ in found[place]], replace(fields, at=every, columns=columns), place


def _believed(core: Crossing, count: int) -> bool:
    """Whether the names of a core are a rule, and no chance: they are half of those that share
    words, or twice as many as their values."""
    names = int(core.rows.sum())
    enough = 2 * names >= count or names >= 2 * core.values
    return core.made and core.gain >= _LEAST_GAIN and enough
