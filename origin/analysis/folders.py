"""Which folders are a part of how names are made: numbered ones, those that only spread files, and
those side by side that hold the same names."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from origin.analysis.joined import Joined
from origin.analysis.names import Folders, Name

SKETCH: Final = 64
# In a folder's place: it is a part of the names, or says nothing and is left out.
PARTED: Final = "\x00"
SPREAD: Final = "\x02"
# A hash's first digits: longer ones would make more folders than files.
_LONGEST_SPREAD: Final = 3
# Fewer of a kind side by side than a family has members may be so by chance.
_FEWEST_SPREAD: Final = 4
_NUMBERED: Final = re.compile(r"\d+([-_.]\d+)*")
_HEXADECIMAL: Final = re.compile(r"[0-9a-f]+", re.IGNORECASE)


def sketch(names: Iterable[Name]) -> frozenset[int]:
    """The 64 least hashes of a folder's names (bottom-k; Broder 1997). Sketches of shards merge by
    :func:`merge`, to the very sketch of the whole."""
    return sketch_of(name.key for name in names)


def sketch_of(texts: Iterable[str]) -> frozenset[int]:
    return merge(frozenset([_hash(text)]) for text in texts)


def merge(sketches: Iterable[frozenset[int]]) -> frozenset[int]:
    every: set[int] = set()
    for one in sketches:
        every |= one
        if len(every) > 8 * SKETCH:
            every = set(sorted(every)[:SKETCH])
    return frozenset(sorted(every)[:SKETCH])


def initials(name: Name) -> int:
    """How many of the folders, from the last up, are the name's own first letters: ``r/u/rumba``.

    Of a folder it is the least of its names'.
    """
    own = name.stem.casefold()
    told = ""
    for count, folder in enumerate(reversed(name.folders)):
        told = folder.casefold() + told
        if len(folder) > _LONGEST_SPREAD or not folder:
            return _whole(own, name.folders, count)
    return _whole(own, name.folders, len(name.folders))


def _whole(stem: str, folders: Folders, most: int) -> int:
    return next(
        count
        for count in range(most, -1, -1)
        if stem.startswith("".join(folders[len(folders) - count :]).casefold())
    )


def spread(folders: Mapping[Folders, int]) -> dict[Folders, Folders]:
    """Every folder without what only spreads files: names' initials, of which the values tell how
    many there are, and first digits of hashes. Numbered ones are a part."""
    stands = {own: (*own[: len(own) - count], *[SPREAD] * count) for own, count in folders.items()}
    for depth in range(max(map(len, stands), default=0)):
        beside: dict[Folders, set[str]] = defaultdict(set)
        for general in stands.values():
            if len(general) > depth:
                beside[general[:depth]].add(general[depth])
        hashed = {above: set(_first_digits(among)) for above, among in beside.items()}
        for own, general in stands.items():
            if len(general) > depth:
                said = general[depth]
                if said in hashed[general[:depth]]:
                    stands[own] = (*general[:depth], SPREAD, *general[depth + 1 :])
                elif _NUMBERED.fullmatch(said):
                    stands[own] = (*general[:depth], PARTED, *general[depth + 1 :])
    return stands


def _first_digits(among: Iterable[str]) -> Iterator[str]:
    """Those that are hashes' first digits: of one length, with letters and with digits."""
    lengths: dict[int, list[str]] = defaultdict(list)
    for said in among:
        if len(said) <= _LONGEST_SPREAD and _HEXADECIMAL.fullmatch(said):
            lengths[len(said)].append(said)
    for own in lengths.values():
        lettered = sum(not said.isdigit() for said in own)
        numbered = sum(not said.isalpha() for said in own)
        if min(lettered, numbered) >= _FEWEST_SPREAD:
            yield from own


def generalise(sketches: Mapping[Folders, frozenset[int]]) -> dict[Folders, Folders]:
    """Every folder with what stands for it: folders side by side that hold half of the same names
    become one with :data:`PARTED` in their place."""
    stands = {folders: folders for folders in sketches}
    now = dict(sketches)
    deepest = max(map(len, sketches), default=0)
    for depth in reversed(range(deepest)):
        siblings: dict[tuple[Folders, Folders], list[Folders]] = defaultdict(list)
        for folders in now:
            if len(folders) > depth and folders[depth] not in (PARTED, SPREAD):
                siblings[folders[:depth], folders[depth + 1 :]].append(folders)
        renamed: dict[Folders, Folders] = {}
        for (before, after), among in siblings.items():
            for together in overlapping(sorted(among), now):
                for folders in together:
                    renamed[folders] = (*before, PARTED, *after)
        merged: dict[Folders, list[frozenset[int]]] = defaultdict(list)
        for folders, held in now.items():
            merged[renamed.get(folders, folders)].append(held)
        now = {folders: merge(held) for folders, held in merged.items()}
        stands = {folders: renamed.get(general, general) for folders, general in stands.items()}
    return stands


def overlapping(
    among: list[Folders], sketches: Mapping[Folders, frozenset[int]]
) -> Iterator[list[Folders]]:
    """Groups of two or more whose sketches share half of the smaller."""
    joined = Joined(len(among))
    holders: dict[int, int] = {}
    for at, folders in enumerate(among):
        met = Counter(holders[one] for one in sketches[folders] if one in holders)
        for other, shared in sorted(met.items()):
            if 2 * shared >= min(len(sketches[folders]), len(sketches[among[other]])):
                joined.join(at, other)
        for one in sketches[folders]:
            holders.setdefault(one, at)
    for group in joined.groups():
        if len(group) > 1:
            yield [among[at] for at in group]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(errors="replace"), digest_size=8).digest())
