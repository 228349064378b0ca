"""What a prompt says: sentences over a family's attributes, in any order."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from kvsync.errors import InputError, ModelError

WORD = re.compile(r"[^\s,;:.!?()]+|[,;.!?]")
BREAKS = frozenset(",;.!?")
FILLERS = frozenset(
    "a an and as at colour color coloured colored for from has have having in is its it of on "
    "photo picture showing shown that the to wearing whose with".split()
)


@dataclass(frozen=True)
class Vocabulary:
    """The attributes of a family, in order, each with the values that its prompts may name."""

    attributes: Mapping[str, tuple[str, ...]]
    fillers: frozenset[str] = frozenset()  # words of the family's own phrase
    layout_by: tuple[str, ...] = ()  # the attributes that change where things lie
    layouts: tuple[tuple[str, ...], ...] = ((),)  # their values in each layout

    @cached_property
    def tokens(self) -> dict[tuple[str, str], int]:
        """The id of each (attribute, value)."""
        pairs = [(name, value) for name, values in self.attributes.items() for value in values]
        return {pair: at for at, pair in enumerate(pairs)}

    def encode(self, prompt: str) -> list[int]:
        """One token id per attribute, in order. Raises InputError as `read` does."""
        return [self.tokens[pair] for pair in self.read(prompt).items()]

    def layout(self, prompt: str) -> int:
        """Which layout a prompt asks for. Raises InputError when the gallery had none such."""
        said = self.read(prompt)
        wanted = tuple(said[name] for name in self.layout_by)
        if wanted not in self.layouts:
            raise InputError(f"prompt {prompt!r}: this model never saw {' with '.join(wanted)}")
        return self.layouts.index(wanted)

    def read(self, prompt: str) -> dict[str, str]:
        """The value that ``prompt`` gives to each attribute.

        Raises InputError naming a word that is not known (with the nearest ones), an attribute
        that is missing or given twice, or a value that could belong to several attributes.
        """
        found: dict[str, str] = {}
        loose: list[str] = []
        for segment in self._segments(prompt):
            pairs, left = min(
                (_pair(segment, self.attributes, order) for order in (1, -1)), key=_badness
            )
            for name, value in pairs:
                self._give(found, name, value)
            loose += [word for kind, word in left if kind == "value"]
        for value in loose:
            self._give(found, self._owner(value, found), value)
        for name in self.attributes:
            if name not in found:
                examples = ", ".join(self.attributes[name][:3])
                raise InputError(f"prompt {prompt!r} says nothing of {name}: add one of {examples}")
        return {name: found[name] for name in self.attributes}

    def _segments(self, prompt: str) -> Iterable[list[tuple[str, str]]]:
        segment: list[tuple[str, str]] = []
        words = WORD.findall(prompt.casefold())
        position = 0
        while position < len(words):
            word = words[position]
            item, length = self._match(words, position)
            if item:
                segment.append(item)
            elif word in BREAKS:
                yield segment
                segment = []
            elif word not in FILLERS and word not in self.fillers:
                self._unknown(word)
            position += length
        yield segment

    def _match(self, words: list[str], position: int) -> tuple[tuple[str, str] | None, int]:
        for length in range(min(self._longest, len(words) - position), 0, -1):
            phrase = " ".join(words[position : position + length])
            if item := self._phrases.get(phrase):
                return item, length
        return None, 1

    @cached_property
    def _phrases(self) -> dict[str, tuple[str, str]]:
        phrases: dict[str, tuple[str, str]] = {}
        for name in self.attributes:
            spoken = _spoken(name)
            for form in (spoken, spoken + "s", spoken + "es"):
                phrases[form] = ("name", name)
        for values in self.attributes.values():
            for value in values:
                phrases[_spoken(value)] = ("value", value)
                phrases[value.casefold()] = ("value", value)
        return phrases

    @cached_property
    def _longest(self) -> int:
        return max(len(phrase.split()) for phrase in self._phrases)

    def _unknown(self, word: str) -> None:
        near = difflib.get_close_matches(word, self._phrases, n=3, cutoff=0.5)
        hint = f"; the nearest known: {', '.join(near)}" if near else ""
        raise InputError(f"prompt: this model never saw the word {word!r}{hint}")

    def _give(self, found: dict[str, str], name: str, value: str) -> None:
        if found.setdefault(name, value) != value:
            raise InputError(f"prompt: {name} is given twice, {found[name]} and {value}")

    def _owner(self, value: str, found: Mapping[str, str]) -> str:
        owners = [name for name, values in self.attributes.items() if value in values]
        free = [name for name in owners if name not in found]
        if len(free) == 1 or (not free and len(owners) == 1):
            return (free or owners)[0]
        raise InputError(
            f"prompt: {value} could be {' or '.join(owners)}; write it as '{value} {owners[0]}'"
        )


_Item = tuple[str, str]
_Pairs = tuple[list[tuple[str, str]], list[_Item]]


def _pair(segment: list[_Item], attributes: Mapping[str, tuple[str, ...]], order: int) -> _Pairs:
    """Join neighbours of a segment: value before name (order 1) or name before value (-1)."""
    pairs, left = [], []
    position = 0
    while position < len(segment):
        (first_kind, first), second = segment[position], segment[position + 1 : position + 2]
        if second and {first_kind, second[0][0]} == {"name", "value"}:
            forward = first_kind == "value"
            name, value = (second[0][1], first) if forward else (first, second[0][1])
            if forward == (order == 1) and value in attributes[name]:
                pairs.append((name, value))
                position += 2
                continue
        left.append(segment[position])
        position += 1
    return pairs, left


def _badness(joined: _Pairs) -> int:
    return len(joined[1])


def _spoken(text: str) -> str:
    return " ".join(WORD.findall(text.casefold().replace("_", " ")))


def read_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary of a model. Raises ModelError when the file is missing or malformed."""
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=_StoredVocabulary)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; fetch the model again") from None
    except msgspec.DecodeError as error:
        raise ModelError(f"{path}: {error}") from None
    unknown = set(stored.layout_by) - stored.attributes.keys()
    if not stored.attributes or unknown or not all(stored.attributes.values()):
        raise ModelError(f"{path}: attributes without values, or layouts by unknown attributes")
    return Vocabulary(
        stored.attributes,
        frozenset(stored.fillers),
        tuple(stored.layout_by),
        tuple(tuple(values) for values in stored.layouts),
    )


def vocabulary_json(vocabulary: Vocabulary) -> str:
    """What `read_vocabulary` reads."""
    stored = _StoredVocabulary(
        dict(vocabulary.attributes),
        sorted(vocabulary.fillers),
        list(vocabulary.layout_by),
        [list(values) for values in vocabulary.layouts],
    )
    return msgspec.json.format(msgspec.json.encode(stored), indent=2).decode() + "\n"


class _StoredVocabulary(msgspec.Struct):
    attributes: dict[str, tuple[str, ...]]
    fillers: list[str]
    layout_by: list[str]
    layouts: list[list[str]]
