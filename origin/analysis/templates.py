"""How names are made: ``/rumba/{part1}-{part2}.jpg``, mined from the names alone.

Folders that hold the same names (``red/heart.png``, ``blue/heart.png``) are one part of a template,
so are query parameters, and words within names. Everything here is a function of the set of names.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

SKETCH: Final = 64
FEWEST: Final = 4
_APART: Final = re.compile(r"[-_ .+]+")
_SEPARATORS: Final = ("_", " ", "+", "-", ".")
_CODE: Final = re.compile(r"(?=.*\d)[0-9a-f]{7,}|\d+", re.IGNORECASE)
_PARTED: Final = "\x00"

Folders = tuple[str, ...]
Columns = list[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Name:
    """A path taken apart."""

    path: str
    folders: Folders
    stem: str
    suffix: str
    parameters: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        """What the name is within its folder."""
        said = "&".join(f"{name}={value}" for name, value in self.parameters)
        return f"{self.stem}{self.suffix}?{said}"


@dataclass(frozen=True)
class Template:
    """Names that are made alike: ``parts`` by attribute, each as long as ``paths``.

    ``pattern`` shows the attributes in braces. ``filled`` is the share that there is of all
    combinations of repeating values.
    """

    pattern: str
    paths: tuple[str, ...]
    parts: dict[str, tuple[str, ...]]

    @property
    def repeating(self) -> list[str]:
        """Parts whose values come again: what an attribute must do to be learnt."""
        return [
            name for name, column in self.parts.items() if 2 <= len(set(column)) <= len(column) / 2
        ]

    @property
    def filled(self) -> float:
        columns = [self.parts[name] for name in self.repeating]
        if not columns:
            return 0.0
        possible = 1
        for column in columns:
            possible *= len(set(column))
        return len(set(zip(*columns, strict=True))) / possible

    @property
    def worded(self) -> bool:
        """Whether some part is mostly words, not numbers or codes."""
        return any(
            2 * sum(_CODE.fullmatch(value) is None for value in column) > len(column)
            for column in self.parts.values()
        )

    @property
    def in_words(self) -> list[str]:
        """Repeating parts that are not just numbers or codes."""
        return [
            name
            for name in self.repeating
            if not all(_CODE.fullmatch(value) for value in set(self.parts[name]))
        ]


def apart(path: str) -> Name:
    """A path, with or without a query, taken apart."""
    place, _, query = path.partition("?")
    *folders, last = place.strip("/").split("/")
    stem, dot, suffix = last.rpartition(".")
    if not dot or len(suffix) > 5:
        stem, suffix = last, ""
    parameters = tuple(sorted(parse_qsl(query, keep_blank_values=True)))
    return Name(path, tuple(folders), stem, suffix and f".{suffix.lower()}", parameters)


def mine(paths: Iterable[str]) -> list[Template]:
    """Templates of four paths or more, each path in one at most."""
    names = [apart(path) for path in sorted(paths)]
    by_folder: dict[Folders, list[Name]] = defaultdict(list)
    for name in names:
        by_folder[name.folders].append(name)
    merged: dict[Folders, list[Name]] = defaultdict(list)
    for folders, general in generalise({k: sketch(v) for k, v in by_folder.items()}).items():
        merged[general].extend(by_folder[folders])
    return [
        template
        for folders in sorted(merged)
        for together in _alike(merged[folders])
        if len(together) >= FEWEST
        for template in [_template(folders, together)]
    ]


def sketch(names: Iterable[Name]) -> frozenset[int]:
    """The 64 least hashes of a folder's names (bottom-k; Broder 1997). Sketches of shards merge by
    :func:`merge`, to the very sketch of the whole."""
    return merge(frozenset([_hash(name.key)]) for name in names)


def merge(sketches: Iterable[frozenset[int]]) -> frozenset[int]:
    every: set[int] = set()
    for one in sketches:
        every |= one
        if len(every) > 8 * SKETCH:
            every = set(sorted(every)[:SKETCH])
    return frozenset(sorted(every)[:SKETCH])


def generalise(sketches: dict[Folders, frozenset[int]]) -> dict[Folders, Folders]:
    """Every folder with what stands for it: folders side by side that hold half of the same names,
    or are but numbers, become one with :data:`_PARTED` in their place."""
    stands = {folders: folders for folders in sketches}
    now = dict(sketches)
    deepest = max(map(len, sketches), default=0)
    for depth in reversed(range(deepest)):
        siblings: dict[tuple[Folders, Folders], list[Folders]] = defaultdict(list)
        for folders in now:
            if len(folders) > depth:
                siblings[folders[:depth], folders[depth + 1 :]].append(folders)
        renamed: dict[Folders, Folders] = {}
        for (before, after), among in siblings.items():
            for together in _overlapping(sorted(among), now, depth):
                for folders in together:
                    renamed[folders] = (*before, _PARTED, *after)
        merged: dict[Folders, list[frozenset[int]]] = defaultdict(list)
        for folders, held in now.items():
            merged[renamed.get(folders, folders)].append(held)
        now = {folders: merge(held) for folders, held in merged.items()}
        stands = {folders: renamed.get(general, general) for folders, general in stands.items()}
    return stands


def _overlapping(
    among: list[Folders], sketches: dict[Folders, frozenset[int]], depth: int
) -> Iterator[list[Folders]]:
    """Groups of two or more whose sketches share half of the smaller."""
    numbers = [folders for folders in among if folders[depth].isdigit()]
    if len(numbers) > 1:
        yield numbers
    rest = [folders for folders in among if not folders[depth].isdigit()]
    joined = Joined(len(rest))
    holders: dict[int, int] = {}
    for at, folders in enumerate(rest):
        met = Counter(holders[one] for one in sketches[folders] if one in holders)
        for other, shared in sorted(met.items()):
            if 2 * shared >= min(len(sketches[folders]), len(sketches[rest[other]])):
                joined.join(at, other)
        for one in sketches[folders]:
            holders.setdefault(one, at)
    for group in joined.groups():
        if len(group) > 1:
            yield [rest[at] for at in group]


def _alike(names: list[Name]) -> Iterator[list[Name]]:
    """Names of one folder, in groups that share words in the same place from either end."""
    kinds: dict[tuple[str, tuple[str, ...]], list[Name]] = defaultdict(list)
    for name in names:
        kinds[name.suffix, tuple(key for key, _ in name.parameters)].append(name)
    for kind in sorted(kinds):
        group = kinds[kind]
        if kind[1]:
            yield group
            continue
        joined = Joined(len(group))
        first: dict[tuple[int, str], int] = {}
        for at, name in enumerate(group):
            words = [word for word in _APART.split(name.stem) if word]
            if len(words) < 2:
                # Names of one word each: what is said by folders alone, or by nothing.
                joined.join(at, first.setdefault((0, ""), at))
                continue
            for place, word in enumerate(words):
                if not _CODE.fullmatch(word):
                    for key in ((place + 1, word), (place - len(words), word)):
                        joined.join(at, first.setdefault(key, at))
        yield from ([group[at] for at in members] for members in joined.groups())


def _template(folders: Folders, names: list[Name]) -> Template:
    """``names`` in columns; the pattern has constant words as they are."""
    columns: list[tuple[str, ...]] = []
    pattern = []
    for depth, folder in enumerate(folders):
        if folder == _PARTED:
            columns.append(tuple(name.folders[depth] for name in names))
            pattern.append(_PARTED)
        else:
            pattern.append(folder)
        pattern.append("/")
    shown, found = columns_of([name.stem for name in names])
    pattern += shown
    columns += found
    pattern.append(names[0].suffix)
    titles = {}
    for at, (title, _) in enumerate(names[0].parameters):
        titles[len(columns)] = title
        columns.append(tuple(name.parameters[at][1] for name in names))
        pattern += ["&" if at else "?", f"{title}=", _PARTED]
    parts: dict[str, tuple[str, ...]] = {}
    said = []
    rest = iter(range(len(columns)))
    for piece in pattern:
        if piece != _PARTED:
            said.append(piece)
            continue
        at = next(rest)
        if len(set(columns[at])) == 1:
            said.append(columns[at][0])
            continue
        title = titles.get(at, f"part{len(parts) + 1}")
        parts[title] = columns[at]
        said.append("{" + title + "}")
    return Template("/" + "".join(said), tuple(name.path for name in names), parts)


def columns_of(stems: Sequence[str]) -> tuple[list[str], Columns]:
    """The pieces of a pattern (:data:`_PARTED` for each column) and the columns of ``stems``."""
    for separator in _SEPARATORS:
        rows = [stem.split(separator) for stem in stems]
        if len(rows[0]) > 1 and len({len(row) for row in rows}) == 1:
            columns = list(zip(*rows, strict=True))
            pieces = [piece for _ in columns for piece in (separator, _PARTED)][1:]
            return pieces, columns
    if len({len(stem) for stem in stems}) == 1 and 2 <= len(stems[0]) <= 3:
        letters = list(zip(*stems, strict=True))
        possible = 1
        for column in letters:
            possible *= len(set(column))
        if len(set(stems)) >= possible / 2:
            return [_PARTED] * len(letters), letters
    return _of_unequal([tuple(filter(None, _APART.split(stem))) for stem in stems])


def _of_unequal(rows: list[tuple[str, ...]]) -> tuple[list[str], Columns]:
    """Values may be of several words: each row is cut where both sides are most common."""
    if min(map(len, rows)) < 2:
        return [_PARTED], [tuple("-".join(row) for row in rows)]
    head = _shared(rows)
    tail = _shared([row[head:][::-1] for row in rows])
    inner = [row[head : len(row) - tail] for row in rows]
    pieces = [word for at in range(head) for word in (rows[0][at], "-")]
    columns = _cut(inner)
    pieces += [piece for _ in columns for piece in (_PARTED, "-")]
    ends = rows[0][len(rows[0]) - tail :]
    pieces += [piece for word in ends for piece in (word, "-")]
    return pieces[:-1], columns


def _cut(rows: list[tuple[str, ...]]) -> Columns:
    """One column, or several where cuts leave fewer different values to be named."""
    whole = tuple("-".join(row) for row in rows)
    if min(map(len, rows)) < 2:
        return [whole]
    starts: Counter[tuple[str, ...]] = Counter()
    ends: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        for at in range(1, len(row)):
            starts[row[:at]] += 1
            ends[row[at:]] += 1
    cuts = [
        max(range(1, len(row)), key=lambda at: starts[row[:at]] * ends[row[at:]]) for row in rows
    ]
    before = [row[:at] for row, at in zip(rows, cuts, strict=True)]
    after = tuple("-".join(row[at:]) for row, at in zip(rows, cuts, strict=True))
    if len(set(before)) + len(set(after)) >= len(set(rows)):
        return [whole]  # a cut that says nothing more shortly
    return [*_cut(before), after]


def _shared(rows: Sequence[tuple[str, ...]]) -> int:
    """How many first words all rows share, leaving each at least one."""
    least = min(map(len, rows)) - 1
    return next((at for at in range(least) if len({row[at] for row in rows}) > 1), least)


class Joined:
    """Numbers from 0 on, joined into groups; which joined first changes nothing."""

    def __init__(self, count: int) -> None:
        self._above = list(range(count))

    def top(self, at: int) -> int:
        while self._above[at] != at:
            self._above[at] = self._above[self._above[at]]
            at = self._above[at]
        return at

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.top(one), self.top(other)))
        self._above[high] = low

    def groups(self) -> list[list[int]]:
        """Sorted, each by its least number."""
        found: dict[int, list[int]] = defaultdict(list)
        for at in range(len(self._above)):
            found[self.top(at)].append(at)
        return list(found.values())


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(errors="replace"), digest_size=8).digest())
