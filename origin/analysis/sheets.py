"""Names laid out in columns, and the template that they show."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from origin.analysis.crossing import Crossing, Kind, kind_of
from origin.analysis.fields import Fields
from origin.analysis.folders import PARTED, SPREAD
from origin.analysis.marks import PLAIN, Marked
from origin.analysis.names import CODE, ECHO, Folders, Name

_ECHOED: Final = re.compile(rf"{ECHO}(\d+)")


@dataclass(frozen=True)
class Template:
    """Names that are made alike: ``parts`` by attribute, each as long as ``paths``.

    ``pattern`` shows the attributes in braces. ``rule`` are the parts that cross, ``filled`` the
    share that there is of all their combinations; ``optional`` are parts that only some names have.
    """

    pattern: str
    paths: tuple[str, ...]
    parts: dict[str, tuple[str, ...]]
    rule: tuple[str, ...]
    filled: float
    made: bool
    optional: tuple[str, ...] = ()

    @property
    def worded(self) -> bool:
        """Whether some part is mostly words, not numbers or codes."""
        return any(
            2 * sum(CODE.fullmatch(value) is None for value in column) > len(column)
            for column in self.parts.values()
        )

    @property
    def ruled_by_words(self) -> bool:
        """Whether some part of the rule has values that are not just numbers or codes."""
        return any(
            not all(CODE.fullmatch(value) for value in set(self.parts[name])) for name in self.rule
        )


@dataclass(frozen=True, slots=True)
class Row:
    """``between`` is what the name has between two fields and most others have not."""

    name: Name
    marked: Marked
    between: str = ""


Pieces = list[str | tuple[str, ...]]
"""A pattern, in order: what all names have, and columns of what they differ in."""


@dataclass(frozen=True)
class Sheet:
    """Rows in columns. ``optional`` are places in ``pieces`` of parts that only some names have,
    each with what then stands before and behind."""

    rows: list[Row]
    pieces: Pieces
    optional: dict[int, tuple[str, str]]
    titles: dict[int, str]

    @property
    def columns(self) -> list[tuple[str, ...]]:
        return [piece for piece in self.pieces if isinstance(piece, tuple)]

    @property
    def kinds(self) -> list[Kind]:
        places = [at for at, piece in enumerate(self.pieces) if isinstance(piece, tuple)]
        return [
            kind_of(column, self.pieces[at + 1 : at + 2] == ["/"])
            for at, column in zip(places, self.columns, strict=True)
        ]

    @property
    def letters(self) -> int:
        """How many it takes to tell the values of its columns."""
        every = (set(column) for column in self.columns)
        return sum(len(value) for known in every if len(known) > 1 for value in known)


def laid_out(general: Folders, rows: list[Row], fields: Fields, between: int = 0) -> Sheet:
    """``rows`` by the ``fields`` of their stems; what some have ``between`` stands before that
    field."""
    pieces: Pieces = []
    optional: dict[int, tuple[str, str]] = {}
    titles = {}

    def add_optional(said: list[str], before: str, behind: str) -> None:
        if any(said):
            optional[len(pieces)] = before, behind
            pieces.append(tuple(one or PLAIN for one in said))

    for depth, folder in enumerate(general[:-1]):
        if folder == PARTED:
            pieces.append(tuple(row.name.folders[depth] for row in rows))
        else:
            pieces.append("*" if folder == SPREAD else folder)
        pieces.append("/")
    firsts = [row.marked.first for row in rows]
    lasts = [row.marked.last for row in rows]
    starts = [row.marked.words.gaps[0] for row in rows]
    ends = [row.marked.words.gaps[-1] for row in rows]
    add_optional(firsts, "", _gap(starts, firsts, True))
    gaps = (_gap(starts, firsts, False), *fields.gaps[1:-1])
    for at, (gap, column) in enumerate(zip(gaps, fields.columns, strict=True)):
        if at == between:
            add_optional([row.between for row in rows], gap, "" if at else fields.gaps[1])
        pieces += [gap, column]
    if between == len(fields.columns):
        add_optional([row.between for row in rows], fields.gaps[-2], "")
    add_optional(lasts, _gap(ends, lasts, True), "")
    pieces.append(_gap(ends, lasts, False))
    pieces.append(tuple(row.name.suffix for row in rows))
    queries = [dict(row.name.parameters) for row in rows]
    for at, title in enumerate(sorted(set().union(*queries))):
        pieces += ["&" if at else "?", f"{title}="]
        titles[len(pieces)] = title
        if any(title not in one for one in queries):
            optional[len(pieces)] = "", ""
        pieces.append(tuple(one.get(title, PLAIN) for one in queries))
    return Sheet(rows, pieces, optional, titles)


def _gap(gaps: Sequence[str], marks: Sequence[str], marked: bool) -> str:
    """What stands beside the mark where there is one, or at the end where there is none."""
    return next((gap for gap, mark in zip(gaps, marks, strict=True) if bool(mark) == marked), "")


def template_of(sheet: Sheet, found: Crossing, made: bool = True) -> Template:
    """The rows' template; the pattern has what all share as it is."""
    parts: dict[str, tuple[str, ...]] = {}
    said: list[str] = []
    optional: list[str] = []
    rule: list[str] = []
    columns = -1
    for at, piece in enumerate(sheet.pieces):
        if isinstance(piece, str):
            said.append(piece)
            continue
        columns += 1
        before, behind = sheet.optional.get(at, ("", ""))
        if len({value.casefold() for value in piece}) == 1:
            if at not in sheet.optional or piece[0] != PLAIN:
                said.append(f"{before}{piece[0]}{behind}")
            continue
        title = sheet.titles.get(at, f"part{len(parts) + 1}")
        parts[title] = _in_one_case(_unechoed(piece, sheet.rows))
        if at in sheet.optional:
            optional.append(title)
            said.append(f"[{before}{{{title}}}{behind}]")
        else:
            said.append(f"{{{title}}}")
        if columns in found.columns:
            rule.append(title)
    return Template(
        "/" + _ECHOED.sub(lambda echo: said[2 * int(echo[1])], "".join(said)),
        tuple(row.name.path for row in sheet.rows),
        parts,
        tuple(rule),
        found.filled,
        made,
        tuple(optional),
    )


def _unechoed(column: tuple[str, ...], rows: Sequence[Row]) -> tuple[str, ...]:
    """Values with the names of folders in the place of what stands for them."""
    return tuple(
        _unechoed_one(value, row) if ECHO in value else value
        for value, row in zip(column, rows, strict=True)
    )


def _unechoed_one(value: str, row: Row) -> str:
    return _ECHOED.sub(lambda echo: row.name.folders[int(echo[1])], value)


def _in_one_case(column: tuple[str, ...]) -> tuple[str, ...]:
    """Values that differ in capitals alone are one."""
    if len({value.casefold() for value in column}) < len(set(column)):
        return tuple(value.casefold() for value in column)
    return column
