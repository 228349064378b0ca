"""What a prompt says: sentences over a family's attributes, in any order."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from kvsync.errors import InputError, ModelError
from regional_gpu.generator.continuous import METHODS, Continuum, Kind, Method, canonical

# A full stop ends a sentence; one before a digit is part of a number.
WORD = re.compile(r"(?:[^\s,;:.!?()]|\.(?=\d))+|[,;.!?]")
BREAKS = frozenset(",;.!?")
FILLERS = frozenset(
    "a an and as at colour color coloured colored for from has have having in is its it of on "
    "photo picture showing shown that the to wearing whose with".split()
)
UNITS = frozenset(["°", "deg", "degree", "degrees"])


@dataclass(frozen=True)
class Spoken:
    """Other words that prompts may use for an attribute: for its name, and for its values."""

    names: tuple[str, ...] = ()
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Vocabulary:
    """The attributes of a family, in order, each with the values that its prompts may name."""

    attributes: Mapping[str, tuple[str, ...]]
    fillers: frozenset[str] = frozenset()  # words of the family's own phrase
    layout_by: tuple[str, ...] = ()  # the attributes that change where things lie
    layouts: tuple[tuple[str, ...], ...] = ((),)  # their values in each layout
    continuous: Mapping[str, Continuum] = field(default_factory=dict)
    synonyms: Mapping[str, Spoken] = field(default_factory=dict)

    @cached_property
    def tokens(self) -> dict[tuple[str, str], int]:
        """The id of each (attribute, value)."""
        pairs = [(name, value) for name, values in self.attributes.items() for value in values]
        return {pair: at for at, pair in enumerate(pairs)}

    def weights(self, prompt: str) -> NDArray[np.float32]:
        """How much of each token a prompt asks for, (tokens,): 1 for a value of the gallery, a
        mix that adds up to 1 for one between them. Raises InputError as `read` does."""
        found = np.zeros(len(self.tokens), np.float32)
        for name, value in self.read(prompt).items():
            values = self.attributes[name]
            first = self.tokens[name, values[0]]
            if value in values:
                found[first + values.index(value)] = 1
            else:
                found[first : first + len(values)] = self.continuous[name].weights(value)
        return found

    def encode(self, prompt: str) -> list[int]:
        """One token id per attribute, in order; of a value between the gallery's, the token that
        it has most of. Raises InputError as `read` does."""
        weights = self.weights(prompt)
        ids: list[int] = []
        for name, values in self.attributes.items():
            first = self.tokens[name, values[0]]
            ids.append(first + int(weights[first : first + len(values)].argmax()))
        return ids

    def layout(self, prompt: str) -> int:
        """Which layout a prompt asks for. Raises InputError when the gallery had none such."""
        said = self.read(prompt)
        wanted = tuple(said[name] for name in self.layout_by)
        if wanted not in self.layouts:
            raise InputError(f"prompt {prompt!r}: this model never saw {' with '.join(wanted)}")
        return self.layouts.index(wanted)

    def read(self, prompt: str) -> dict[str, str]:
        """The value that ``prompt`` gives to each attribute; a continuous one's is canonical.

        Raises InputError naming a word that is not known (with the nearest ones), an attribute
        that is missing or given twice, a value that could belong to several attributes, or one
        that lies beyond what the gallery shows.
        """
        found: dict[str, str] = {}
        loose: list[str] = []
        for segment in self._segments(prompt):
            pairs, left = min((self._pair(segment, order) for order in (1, -1)), key=_badness)
            for name, phrase in pairs:
                self._give(found, name, phrase)
            loose += [phrase for kind, phrase in left if kind == "value"]
        for phrase in loose:
            self._give(found, self._owner(phrase, found), phrase)
        for name in self.attributes:
            if name not in found:
                examples = ", ".join(self.attributes[name][:3])
                raise InputError(f"prompt {prompt!r} says nothing of {name}: add one of {examples}")
        for name, value in found.items():
            if value not in self.attributes[name]:
                self._check(name, value)
        return {name: found[name] for name in self.attributes}

    def meaning(self, name: str, phrase: str) -> str | None:
        """The value of attribute ``name`` that ``phrase`` says; None when it says none."""
        known = self._meanings.get(phrase, {}).get(name)
        if known is not None or name not in self.continuous:
            return known
        try:
            return canonical(self.continuous[name].kind, phrase)
        except ValueError:
            return None

    def _segments(self, prompt: str) -> Iterable[list["_Item"]]:
        segment: list[_Item] = []
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
            elif not self._may_be_left_out(word):
                self._unknown(word)
            position += length
        yield segment

    def _match(self, words: list[str], position: int) -> tuple["_Item | None", int]:
        for length in range(min(self._longest, len(words) - position), 0, -1):
            phrase = " ".join(words[position : position + length])
            if phrase in self._meanings:
                return ("value", phrase), length
            if phrase in self._names:
                return ("name", self._names[phrase]), length
        if any(self.meaning(name, words[position]) for name in self.continuous):
            return ("value", words[position]), 1
        return None, 1

    def _may_be_left_out(self, word: str) -> bool:
        return word in FILLERS or word in self.fillers or (word in UNITS and self._has_angles)

    @cached_property
    def _has_angles(self) -> bool:
        return any(one.kind == "angle" for one in self.continuous.values())

    @cached_property
    def _names(self) -> dict[str, str]:
        names = {}
        for name in self.attributes:
            for said in (name, *self.synonyms.get(name, Spoken()).names):
                spoken = _spoken(said)
                names.update(dict.fromkeys((spoken, spoken + "s", spoken + "es"), name))
        return names

    @cached_property
    def _meanings(self) -> dict[str, dict[str, str]]:
        """Phrase to the value that it stands for, by attribute."""
        meanings: dict[str, dict[str, str]] = {}
        for name, values in self.attributes.items():
            others = self.synonyms.get(name, Spoken()).values
            for value in values:
                for said in (value, *others.get(value, ())):
                    for phrase in (_spoken(said), said.casefold()):
                        meanings.setdefault(phrase, {})[name] = value
        return meanings

    @cached_property
    def _longest(self) -> int:
        return max(len(phrase.split()) for phrase in (*self._meanings, *self._names))

    def _unknown(self, word: str) -> None:
        known = [*self._meanings, *self._names]
        near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
        hint = f"; the nearest known: {', '.join(near)}" if near else ""
        raise InputError(f"prompt: this model never saw the word {word!r}{hint}")

    def _give(self, found: dict[str, str], name: str, phrase: str) -> None:
        value = self.meaning(name, phrase) or phrase
        if found.setdefault(name, value) != value:
            raise InputError(f"prompt: {name} is given twice, {found[name]} and {value}")

    def _check(self, name: str, value: str) -> None:
        try:
            self.continuous[name].weights(value)
        except InputError as error:
            raise InputError(f"prompt: {name} {error}") from None

    def _owner(self, phrase: str, found: Mapping[str, str]) -> str:
        owners = [name for name in self.attributes if self.meaning(name, phrase)]
        free = [name for name in owners if name not in found]
        if len(free) == 1 or (not free and len(owners) == 1):
            return (free or owners)[0]
        raise InputError(
            f"prompt: {phrase} could be {' or '.join(owners)}; write it as '{phrase} {owners[0]}'"
        )

    def _pair(self, segment: list["_Item"], order: int) -> "_Pairs":
        """Join neighbours of a segment: value before name (order 1), name before value (-1)."""
        pairs, left = [], []
        position = 0
        while position < len(segment):
            (first_kind, first), second = segment[position], segment[position + 1 : position + 2]
            if second and {first_kind, second[0][0]} == {"name", "value"}:
                forward = first_kind == "value"
                name, phrase = (second[0][1], first) if forward else (first, second[0][1])
                if forward == (order == 1) and self.meaning(name, phrase):
                    pairs.append((name, phrase))
                    position += 2
                    continue
            left.append(segment[position])
            position += 1
        return pairs, left


_Item = tuple[str, str]
_Pairs = tuple[list[tuple[str, str]], list[_Item]]


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
    named = {*stored.layout_by, *stored.continuous, *stored.synonyms}
    if not stored.attributes or named - stored.attributes.keys():
        raise ModelError(f"{path}: no attributes, or something said of unknown ones")
    if not all(stored.attributes.values()):
        raise ModelError(f"{path}: attributes without values")
    return Vocabulary(
        stored.attributes,
        frozenset(stored.fillers),
        tuple(stored.layout_by),
        tuple(tuple(values) for values in stored.layouts),
        {name: _continuum(path, stored, name) for name in stored.continuous},
        {name: Spoken(one.names, one.values) for name, one in stored.synonyms.items()},
    )


def vocabulary_json(vocabulary: Vocabulary) -> str:
    """What `read_vocabulary` reads."""
    stored = _StoredVocabulary(
        dict(vocabulary.attributes),
        sorted(vocabulary.fillers),
        list(vocabulary.layout_by),
        [list(values) for values in vocabulary.layouts],
        {
            name: _StoredContinuum(one.kind, one.method)
            for name, one in vocabulary.continuous.items()
        },
        {
            name: _StoredSpoken(one.names, dict(one.values))
            for name, one in vocabulary.synonyms.items()
        },
    )
    return msgspec.json.format(msgspec.json.encode(stored), indent=2).decode() + "\n"


def _continuum(path: Path, stored: "_StoredVocabulary", name: str) -> Continuum:
    one, values = stored.continuous[name], stored.attributes[name]
    try:
        plain = all(canonical(one.kind, value) == value for value in values)
    except ValueError as error:
        raise ModelError(f"{path}: {name}: {error}") from None
    if not plain or one.method not in ("values", *METHODS[one.kind]):
        raise ModelError(f"{path}: {name} is no {one.kind} that is mixed by {one.method!r}")
    return Continuum(one.kind, one.method, values)


class _StoredContinuum(msgspec.Struct):
    kind: Kind
    method: Method


class _StoredSpoken(msgspec.Struct):
    names: tuple[str, ...] = ()
    values: dict[str, tuple[str, ...]] = {}


class _StoredVocabulary(msgspec.Struct, omit_defaults=True):
    attributes: dict[str, tuple[str, ...]]
    fillers: list[str]
    layout_by: list[str]
    layouts: list[list[str]]
    # Added later: a vocabulary without them says nothing of either.
    continuous: dict[str, _StoredContinuum] = {}
    synonyms: dict[str, _StoredSpoken] = {}
