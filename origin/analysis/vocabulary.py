"""Words that an attribute is known by: colours, countries, sizes."""

import re
from collections.abc import Collection, Mapping
from typing import Final

import iso3166
from PIL import ImageColor

_PARTS: Final = re.compile(r"[^\w]|_")
_COLOURS: Final = frozenset(ImageColor.colormap) | {
    "cream", "mint", "sand", "rose", "wine", "charcoal", "nude", "camel", "copper",
}  # fmt: skip
_COUNTRIES: Final = frozenset(
    re.sub(r"\W+", "-", word).strip("-").casefold()
    for one in iso3166.countries
    for word in (one.alpha2, one.alpha3, one.name, one.apolitical_name)
)
_WORDS: Final[Mapping[str, frozenset[str]]] = {
    "tone": frozenset(["light", "medium-light", "medium", "medium-dark", "dark"]),
    "view": frozenset(
        ["front", "back", "side", "left", "right", "top", "bottom", "three-quarter", "detail",
         "angle"]
    ),
    "gender": frozenset(["man", "woman", "person", "men", "women", "boy", "girl", "unisex"]),
    "size": frozenset(["xs", "s", "m", "l", "xl", "xxl", "small", "large", "thumb", "full"]),
    "suit": frozenset(
        ["club", "clubs", "diamond", "diamonds", "heart", "hearts", "spade", "spades"]
    ),
    "colour": _COLOURS,
    "country": _COUNTRIES,
}  # fmt: skip


def attribute_of(values: Collection[str], share: float) -> str | None:
    """The attribute that so many of these different values are words of, the first that is; None
    where none is. What all of them begin or end with says nothing: ``flag_of_chad``."""
    said = _bare([[word for word in _PARTS.split(one.casefold()) if word] for one in values])
    for attribute in _WORDS:
        known = sum(_is_word(value, attribute) for value in said)
        if known and known >= share * len(values):
            return attribute
    return None


def _is_word(value: str, attribute: str) -> bool:
    """Colours are known by their last word: ``dark-mint``."""
    words = _WORDS[attribute]
    return value in words or (attribute == "colour" and value.rsplit("-", 1)[-1] in words)


def _bare(rows: list[list[str]]) -> list[str]:
    """Without the words that all share at either end, each left one at least."""
    most = min(map(len, rows), default=1) - 1
    head = next((at for at in range(most) if len({row[at] for row in rows}) > 1), max(0, most))
    most -= head
    tail = next((at for at in range(most) if len({row[-1 - at] for row in rows}) > 1), max(0, most))
    return ["-".join(row[head : len(row) - tail]) for row in rows]
