"""Words that an attribute is known by: colours, countries, sizes."""

import re
from collections.abc import Collection, Mapping
from typing import Final

import iso3166
from PIL import ImageColor

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
    where none is."""
    for attribute in _WORDS:
        known = sum(_is_word(value, attribute) for value in values)
        if known and known >= share * len(values):
            return attribute
    return None


def _is_word(value: str, attribute: str) -> bool:
    """Colours are known by their last word: ``dark-mint``."""
    said = re.sub(r"[^\w]|_", "-", value.casefold())
    words = _WORDS[attribute]
    return said in words or (attribute == "colour" and said.rsplit("-", 1)[-1] in words)
