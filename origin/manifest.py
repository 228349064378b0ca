"""A gallery's ``manifest.json``: what a family's images show. Its form is pinned by a JSON schema.

``python -m origin.manifest`` prints the schema that lies beside this file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from string import Formatter
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from kvsync.encoding import UNREADABLE
from kvsync.errors import InputError
from regional_gpu.generator.continuous import Kind, canonical, read_colour
from regional_gpu.generator.text import Spoken

SCHEMA: Final = Path(__file__).with_name("manifest.schema.json")
DEFAULT_PROMPT: Final = "{value} {name}"

Text = Annotated[str, Meta(min_length=1)]
Value = Annotated[
    str | int | float,
    Meta(
        description="Numbers are numbers and strings are words unless `attributes` says otherwise."
    ),
]


class Asset(msgspec.Struct, frozen=True):
    """One image, with what it shows; values of continuous attributes are canonical."""

    file: str  # relative to the gallery's folder
    attributes: dict[str, str]
    bytes: int  # 0 where the manifest does not say


class ListedAsset(msgspec.Struct):
    file: Annotated[Text, Meta(description="Path relative to the manifest; never outside.")]
    attributes: Annotated[
        dict[Text, Value],
        Meta(min_length=1, description="What the image shows; the same names in every asset."),
    ]
    bytes: Annotated[int, Meta(ge=0, description="The file's size.")] | None = None


class AttributeRule(msgspec.Struct, forbid_unknown_fields=True):
    kind: (
        Annotated[
            Kind, Meta(description="Colours (#rrggbb), angles (degrees) and numbers interpolate.")
        ]
        | None
    ) = None
    synonyms: Annotated[
        list[Text] | dict[Text, Text | list[Text]],
        Meta(
            description="Other words in prompts: a list for the attribute's name; or by value, "
            "where the attribute's name may be a key too."
        ),
    ] = []


class ManifestFile(msgspec.Struct):
    family: Annotated[str, Meta(pattern="^[A-Za-z0-9._-]{1,40}$")]
    assets: Annotated[list[ListedAsset], Meta(min_length=1)]
    template: (
        Annotated[str, Meta(description="How file names are made: {attribute} for its value.")]
        | None
    ) = None
    prompt: Annotated[
        str, Meta(description="The phrase for one attribute, of {value} and {name}.")
    ] = DEFAULT_PROMPT
    background: Annotated[
        str, Meta(description="What shows through transparent pixels, like #ffffff.")
    ] = "#ffffff"
    attributes: dict[Text, AttributeRule] = {}
    below: Annotated[
        str,
        Meta(
            pattern="^([^/]+/)*$",
            description="The asset store's folder, like shoes/, that has what lies in the files' "
            "shared folder; its root by default.",
        ),
    ] = ""


@dataclass(frozen=True)
class Manifest:
    """A checked manifest."""

    family: str
    assets: tuple[Asset, ...]
    kinds: Mapping[str, Kind]  # of every attribute, in order
    synonyms: Mapping[str, Spoken]
    phrase: str
    background: tuple[int, int, int]
    below: str = ""


def read_manifest(folder: Path) -> Manifest:
    """Read ``manifest.json`` of a gallery's folder; no image is opened.

    Raises InputError, naming the file and what is wrong in it.
    """
    path = folder / "manifest.json"
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=ManifestFile)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; a gallery is a folder with one") from None
    except UNREADABLE as error:
        raise InputError(f"{path}: not a gallery's manifest: {error}") from None
    try:
        return _checked(stored)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


def _checked(stored: ManifestFile) -> Manifest:
    """Raises ValueError saying what is wrong."""
    names = list(stored.assets[0].attributes)
    for name in stored.attributes:
        if name not in names:
            raise ValueError(f"attributes: no asset has {name!r}; there is {', '.join(names)}")
    seen: set[str] = set()
    for asset in stored.assets:
        _check_file(asset.file, seen)
        if asset.attributes.keys() != set(names):
            raise ValueError(f"{asset.file} has other attributes than the first asset")
    kinds = {name: _kind(stored, name) for name in names}
    assets = tuple(_asset(listed, kinds) for listed in stored.assets)
    synonyms = {
        name: _spoken(name, rule, kinds[name], {asset.attributes[name] for asset in assets})
        for name, rule in stored.attributes.items()
        if rule.synonyms
    }
    _check_template(stored.template, names)
    return Manifest(
        stored.family,
        assets,
        kinds,
        synonyms,
        _phrase(stored.prompt),
        _background(stored),
        stored.below,
    )


def _check_file(file: str, seen: set[str]) -> None:
    if PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts:
        raise ValueError(f"{file} lies outside the gallery")
    if file in seen:
        raise ValueError(f"{file} is listed twice")
    seen.add(file)


def _kind(stored: ManifestFile, name: str) -> Kind:
    rule = stored.attributes.get(name)
    if rule is not None and rule.kind is not None:
        return rule.kind
    found = (asset.attributes[name] for asset in stored.assets)
    return "word" if any(isinstance(value, str) for value in found) else "number"


def _asset(listed: ListedAsset, kinds: Mapping[str, Kind]) -> Asset:
    values = {}
    for name, kind in kinds.items():
        value = listed.attributes[name]
        try:
            values[name] = canonical(kind, _plain(value))
        except ValueError as error:
            raise ValueError(f"{listed.file}: {name}: {error}") from None
        if not values[name].strip():
            raise ValueError(f"{listed.file}: {name} has no value")
    return Asset(listed.file, values, listed.bytes or 0)


def _plain(value: str | int | float) -> str:
    """A JSON number without exponent or a fraction of nought: 3.0 is 3."""
    return value if isinstance(value, str) else f"{value:.12f}".rstrip("0").rstrip(".")


def _spoken(name: str, rule: AttributeRule, kind: Kind, values: set[str]) -> Spoken:
    if isinstance(rule.synonyms, list):
        return Spoken(tuple(rule.synonyms))
    names: tuple[str, ...] = ()
    words: dict[str, tuple[str, ...]] = {}
    owner: dict[str, str] = {value.casefold(): value for value in values}
    for said, given in rule.synonyms.items():
        others = (given,) if isinstance(given, str) else tuple(given)
        if said == name:
            names = others
            continue
        value = canonical(kind, said)
        if value not in values:
            raise ValueError(f"attributes: synonyms of {name} {said!r}, which no asset has")
        words[value] = others
        for other in others:
            if owner.setdefault(other.casefold(), value) != value:
                meant = owner[other.casefold()]
                raise ValueError(f"attributes: {name} {other!r} means both {meant} and {value}")
    return Spoken(names, words)


def _phrase(phrase: str) -> str:
    try:
        if phrase.format(value="\0", name="") != phrase.format(value="", name=""):
            return phrase
    except (LookupError, ValueError, AttributeError, TypeError):
        pass
    raise ValueError(f"prompt {phrase!r} is not a phrase of {{value}} and {{name}}")


def _check_template(template: str | None, names: list[str]) -> None:
    try:
        used = {field for _, field, _, _ in Formatter().parse(template or "") if field is not None}
    except ValueError as error:
        raise ValueError(f"template {template!r}: {error}") from None
    for unknown in sorted(used - {*names, "family"}):
        raise ValueError(f"template {template!r}: no asset has {unknown!r}")


def _background(stored: ManifestFile) -> tuple[int, int, int]:
    try:
        return read_colour(stored.background)
    except ValueError as error:
        raise ValueError(f"background {error}") from None


def schema() -> str:
    """The JSON schema of the file (2020-12)."""
    named = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Gallery manifest"}
    content = msgspec.json.encode(named | msgspec.json.schema(ManifestFile))
    return msgspec.json.format(content, indent=2).decode() + "\n"


if __name__ == "__main__":
    print(schema(), end="")
