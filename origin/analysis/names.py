"""Paths taken apart: folders, words and what stands between them, parameters."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

ECHO: Final = "\x01"
_UUID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# What says nothing in words: numbers, hashes, and identifiers with digits here and there.
CODE: Final = re.compile(
    rf"\d+|(?=.*\d)[0-9a-f]{{7,}}|{_UUID}|(?=.*\d[a-z]+\d)[0-9a-z]{{6,}}", re.IGNORECASE
)
_SEPARATORS: Final = "-_ .+,()@&"
_SEPARATOR: Final = re.compile(f"[{_SEPARATORS}]")
_WHOLE: Final = re.compile(rf"{_UUID}|[^{_SEPARATORS}]+", re.IGNORECASE)
# `fooBar` and `walk12` are two words; `v2`, `A4` and `24dp` are one.
_SEAM: Final = re.compile(r"(?<=[a-zß-öø-ÿ])(?=[A-ZÀ-ÖØ-Þ])|(?<=[^\W\d_]{2})(?=\d)")
# Digits in two places with letters between: an identifier's letters are no words.
_OPAQUE: Final = re.compile(r"\d[^\W\d_]+\d")

Folders = tuple[str, ...]


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
        """What the name is within its folder, whatever its coding; a folder's own name in it
        counts as the same in every folder."""
        said = "&".join(f"{name}={value}" for name, value in self.parameters)
        stem = self.stem.casefold()
        for folder in self.folders:
            stem = echoed(stem, folder, ECHO)
        return f"{stem}?{said}"


@dataclass(frozen=True, slots=True)
class Words:
    """A stem's words; ``gaps`` has what stands before each, "" where only capitals or digits part
    them, and at last what follows."""

    said: tuple[str, ...]
    gaps: tuple[str, ...]

    def part(self, begin: int, end: int) -> "Words":
        return Words(self.said[begin:end], self.gaps[begin : end + 1])

    def text(self, begin: int, end: int) -> str:
        """Words as they were written."""
        if end - begin == 1:
            return self.said[begin]
        rest = zip(self.gaps[begin + 1 : end], self.said[begin + 1 : end], strict=True)
        return self.said[begin] + "".join(gap + word for gap, word in rest)


def apart(path: str) -> Name:
    """A path, with or without a query, taken apart."""
    place, _, query = path.partition("?")
    *folders, last = place.strip("/").split("/")
    stem, dot, suffix = last.rpartition(".")
    if not dot or not stem or len(suffix) > 5:
        stem, suffix = last, ""
    parameters = tuple(sorted(parse_qsl(query, keep_blank_values=True)))
    return Name(path, tuple(folders), stem, suffix and f".{suffix.lower()}", parameters)


def echoed(stem: str, folder: str, by: str) -> str:
    """``stem``, with the folder's name replaced where that stands in it as words do, whatever
    parts them: ``Heart hands/heart_hands``."""
    own, said = (_SEPARATOR.sub(" ", one.casefold()) for one in (folder, stem))
    if len(own) < 2 or own not in said or len(said) != len(stem):
        return stem
    begin = said.index(own)
    end = begin + len(own)
    if stem[begin - 1 : begin].isalnum() or stem[end : end + 1].isalnum():
        return stem
    return stem[:begin] + by + stem[end:]


def words_of(stem: str) -> Words:
    """The words of a stem, none empty; a stem of separators alone is one word."""
    said: list[str] = []
    gaps: list[str] = []
    end = 0
    for found in _WHOLE.finditer(stem):
        gaps.append(stem[end : found.start()])
        own = list(_seamed(found[0]))
        said += own
        gaps += [""] * (len(own) - 1)
        end = found.end()
    if not said:
        return Words((stem,), ("", ""))
    return Words(tuple(said), (*gaps, stem[end:]))


def _seamed(word: str) -> Iterator[str]:
    if _OPAQUE.search(word) or CODE.fullmatch(word):
        yield word
        return
    yield from _SEAM.split(word)
