"""One range of a stored 200 (RFC 9110 section 14). Several ranges get the whole: section 14.2
allows it, and nothing can be made to repeat bytes."""

import re
from dataclasses import dataclass

from edge.rules.dates import read_date
from edge.rules.stored import Stored

_RANGE = re.compile(r"bytes=[ \t]*(?:([0-9]+)-([0-9]*)|-([0-9]+))[ \t]*", re.IGNORECASE)
# Python refuses to read longer numbers than 4300 digits, and no body needs more than these.
_MAX_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes ``start`` up to but not including ``stop`` of ``length``; none: unsatisfiable."""

    start: int
    stop: int
    length: int

    @property
    def satisfiable(self) -> bool:
        return self.start < self.stop

    @property
    def content_range(self) -> str:
        """Section 14.4."""
        if not self.satisfiable:
            return f"bytes */{self.length}"
        return f"bytes {self.start}-{self.stop - 1}/{self.length}"


def part_of(length: int, asked: str | None) -> Part | None:
    """The part that a Range value asks of ``length`` bytes, None where the whole is the answer:
    no range, several, another unit, or nothing that can be read."""
    match = _RANGE.fullmatch(asked) if asked else None
    if match is None or max(map(len, match.groups(""))) > _MAX_DIGITS:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        return Part(max(0, length - int(suffix)) if int(suffix) else length, length, length)
    start = int(first)
    if last and int(last) < start:
        return None
    stop = min(length, int(last) + 1) if last else length
    return Part(start, stop, length) if start < length else Part(length, length, length)


def range_applies(stored: Stored, if_range: str | None, *, by_date: bool) -> bool:
    """If-Range (section 13.1.5): strong comparison of a tag; of a date exactly, and where it is
    strong (section 8.8.2.2). ``by_date`` as in :func:`edge.rules.validation.may_answer_304`."""
    if if_range is None:
        return True
    if if_range.startswith('"'):
        return stored.etag == if_range
    changed = read_date(stored.last_modified, stored.born_at)
    sent = read_date(stored.field("date"), stored.born_at)
    return (
        by_date
        and changed is not None
        and sent is not None
        and sent - changed >= 1
        and if_range.strip() == stored.last_modified
    )
