"""Names laid out in columns, and the template that they show."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from origin.analysis.crossing import Crossing, Kind, kind_of
from origin.analysis.fields import Fields
from origin.analysis.folders import PARTED, SPREAD
from origin.analysis.marks import PLAIN, Marked
from origin.analysis.names import CODE, Folders, Name


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
    name: Name
    marked: Marked


Pieces = list[str | tuple[str, ...]]
"""A pattern, in order: what all names have, and columns of what they differ in."""


@dataclass(frozen=True)
class Sheet:
    """Rows in columns. ``optional`` are places in ``pieces`` of parts that only some names have."""

    rows: list[Row]
    pieces: Pieces
    optional: tuple[int, ...]
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


def laid_out(general: Folders, rows: list[Row], fields: Fields) -> Sheet:
    pieces: Pieces = []
    optional = []
    titles = {}
    for depth, folder in enumerate(general[:-1]):
        if folder == PARTED:
            pieces.append(tuple(row.name.folders[depth] for row in rows))
        else:
            pieces.append("*" if folder == SPREAD else folder)
        pieces.append("/")
    if any(row.marked.first for row in rows):
        optional.append(len(pieces))
        pieces += [tuple(row.marked.first or PLAIN for row in rows), "_"]
    for gap, column in zip(fields.gaps, fields.columns, strict=False):
        pieces += [gap, column]
    if any(row.marked.last for row in rows):
        optional.append(len(pieces) + 1)
        pieces += ["_", tuple(row.marked.last or PLAIN for row in rows)]
    pieces.append(tuple(row.name.suffix for row in rows))
    for at, (title, _) in enumerate(rows[0].name.parameters):
        pieces += ["&" if at else "?", f"{title}="]
        titles[len(pieces)] = title
        pieces.append(tuple(row.name.parameters[at][1] for row in rows))
    return Sheet(rows, pieces, tuple(optional), titles)


def kept(sheet: Sheet, places: Sequence[int]) -> Sheet:
    pieces: Pieces = [
        piece if isinstance(piece, str) else tuple(piece[at] for at in places)
        for piece in sheet.pieces
    ]
    return replace(sheet, rows=[sheet.rows[at] for at in places], pieces=pieces)


def template_of(sheet: Sheet, core: Crossing, made: bool = True) -> Template:
    """The rows' template; the pattern has what all share as it is."""
    parts: dict[str, tuple[str, ...]] = {}
    said = []
    optional = []
    rule = []
    column = -1
    for at, piece in enumerate(sheet.pieces):
        if isinstance(piece, str):
            said.append(piece)
            continue
        column += 1
        if len({value.casefold() for value in piece}) == 1:
            said.append(piece[0])
            continue
        title = sheet.titles.get(at, f"part{len(parts) + 1}")
        parts[title] = _in_one_case(piece)
        said.append("{" + title + "}")
        if at in sheet.optional:
            optional.append(title)
        if column in core.columns:
            rule.append(title)
    return Template(
        "/" + "".join(said),
        tuple(row.name.path for row in sheet.rows),
        parts,
        tuple(rule),
        core.filled,
        made,
        tuple(optional),
    )


def _in_one_case(column: tuple[str, ...]) -> tuple[str, ...]:
    """Values that differ in capitals alone are one."""
    if len({value.casefold() for value in column}) < len(set(column)):
        return tuple(value.casefold() for value in column)
    return column
