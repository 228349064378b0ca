"""The ways in which stems can be taken as fields: by one separator, by every word, by the letters
of short names, or cut where that leaves the fewest values."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from origin.analysis.names import Words

# In a pattern's place: a field.
FIELD: Final = "\x00"
_SEPARATORS: Final = ("_", " ", "+", "-", ".")
_SHORT: Final = 4

Row = tuple[str, ...]


@dataclass(frozen=True)
class Fields:
    """Of some stems, by their place ``at`` in a list, the same number of fields each, by column;
    ``gaps`` are what stands before each, and behind the last. ``separator`` is what parts them,
    None where nothing does alone."""

    at: tuple[int, ...]
    columns: tuple[Row, ...]
    gaps: Row
    separator: str | None = None


def ways(every: Sequence[Words]) -> Iterator[Fields]:
    """Every way that makes columns of four stems or more, the plainest first."""
    yield _whole(every)
    gaps = {gap for one in every for gap in one.gaps[1:-1]}
    found = [one for one in _SEPARATORS if any(one in gap for gap in gaps)]
    for separator in found:
        yield from _by(separator, every)
    if not any(all(separator in gap for gap in gaps) for separator in found):
        yield from _by("", every)
    several = [at for at, one in enumerate(every) if len(one.said) > 1]
    if len(several) >= _SHORT:
        yield _cut_up(several, every)
    elif all(len(one.said) == 1 and 1 < len(one.said[0]) <= _SHORT for one in every):
        columns = _cut([tuple(one.said[0]) for one in every])
        if len(columns) > 1:
            joined = tuple(tuple(value for value in column) for column in columns)
            yield Fields(tuple(range(len(every))), joined, ("",) * (len(columns) + 1))


def parted(one: Words, separator: str) -> tuple[Row, Row]:
    """Fields of one stem, and what stands before each and behind the last; "" parts every word."""
    fields, gaps, begin = [], [one.gaps[0]], 0
    for at in range(1, len(one.said)):
        if separator in one.gaps[at]:
            fields.append(one.text(begin, at))
            gaps.append(one.gaps[at])
            begin = at
    return (*fields, one.text(begin, len(one.said))), (*gaps, one.gaps[-1])


def _whole(every: Sequence[Words]) -> Fields:
    column = tuple(one.text(0, len(one.said)) for one in every)
    return Fields(tuple(range(len(every))), (column,), (every[0].gaps[0], every[0].gaps[-1]))


def _by(separator: str, every: Sequence[Words]) -> Iterator[Fields]:
    """One for each number of fields that four stems or more have."""
    found = [parted(one, separator) for one in every]
    counts = Counter(len(fields) for fields, _ in found)
    for count in sorted(counts):
        if count > 1 and counts[count] >= _SHORT:
            at = tuple(row for row, (fields, _) in enumerate(found) if len(fields) == count)
            columns = tuple(zip(*(found[row][0] for row in at), strict=True))
            yield Fields(at, columns, found[at[0]][1], separator)


def _cut_up(at: Sequence[int], every: Sequence[Words]) -> Fields:
    """Values may be of several words: each row is cut where both sides are most common."""
    rows = [every[one].said for one in at]
    head = _shared(rows)
    tail = _shared([row[head:][::-1] for row in rows])
    inner = _cut([row[head : len(row) - tail] for row in rows], "-")
    first = [tuple(row[place] for row in rows) for place in range(head)]
    last = [tuple(row[place - tail] for row in rows) for place in range(tail)]
    columns = (*first, *inner, *last)
    first_gap, *between, last_gap = every[at[0]].gaps
    gap = next(filter(None, between), "")
    return Fields(tuple(at), columns, (first_gap, *[gap] * (len(columns) - 1), last_gap))


def _cut(rows: Sequence[Row], by: str = "") -> list[Row]:
    """One column, or several where cuts leave fewer different values to be named."""
    whole = tuple(by.join(row) for row in rows)
    if min(map(len, rows)) < 2:
        return [whole]
    starts: Counter[Row] = Counter()
    ends: Counter[Row] = Counter()
    for row in rows:
        for at in range(1, len(row)):
            starts[row[:at]] += 1
            ends[row[at:]] += 1
    cuts = [
        max(range(1, len(row)), key=lambda at: starts[row[:at]] * ends[row[at:]]) for row in rows
    ]
    before = [row[:at] for row, at in zip(rows, cuts, strict=True)]
    after = [row[at:] for row, at in zip(rows, cuts, strict=True)]
    if len(set(before)) + len(set(after)) >= len(set(rows)):
        return [whole]  # a cut that says nothing more shortly
    return [*_cut(before, by), *_cut(after, by)]


def _shared(rows: Sequence[Row]) -> int:
    """How many first words all rows share, leaving each at least one."""
    least = min(map(len, rows)) - 1
    return next((at for at in range(least) if len({row[at] for row in rows}) > 1), least)
