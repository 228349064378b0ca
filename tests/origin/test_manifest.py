"""A manifest is read by one schema; whatever is wrong in it is one clear line."""

import json
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest

from kvsync.errors import InputError
from origin.manifest import SCHEMA, read_manifest, schema
from regional_gpu.generator.text import Spoken

ROOT = Path(__file__).parents[2]
PAINTS = {"red": "#c02020", "blue": "#2020c0"}


def _manifest(**changes: Any) -> dict[str, Any]:
    assets = [
        {"file": f"{name}.png", "attributes": {"paint": colour, "doors": 3.0}, "bytes": 9}
        for name, colour in PAINTS.items()
    ]
    return {"family": "cars", "assets": assets} | changes


def _read(folder: Path, content: object) -> Any:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "manifest.json").write_text(text)
    return read_manifest(folder)


def _asset(**changes: Any) -> dict[str, Any]:
    return {"file": "a.png", "attributes": {"paint": "red", "doors": 2}} | changes


def test_the_schema_in_the_repository_is_the_one_that_is_read() -> None:
    assert SCHEMA.read_text() == schema()


def test_the_sample_keeps_to_the_schema() -> None:
    folder = ROOT / "origin/samples/rumba"
    fastjsonschema.validate(json.loads(SCHEMA.read_text()), _json(folder / "manifest.json"))
    assert read_manifest(folder).kinds == {"lace": "word", "sole": "word", "view": "word"}


def test_undeclared_numbers_are_numbers_and_strings_are_words(tmp_path: Path) -> None:
    manifest = _read(tmp_path, _manifest())
    assert manifest.kinds == {"paint": "word", "doors": "number"}
    assert manifest.assets[0].attributes == {"paint": "#c02020", "doors": "3"}


def test_a_declared_kind_gives_values_one_spelling(tmp_path: Path) -> None:
    assets = [_asset(attributes={"paint": "#C22", "turn": "-90°"})]
    rules = {"paint": {"kind": "colour"}, "turn": {"kind": "angle"}}
    manifest = _read(tmp_path, _manifest(assets=assets, attributes=rules))
    assert manifest.assets[0].attributes == {"paint": "#cc2222", "turn": "270"}


def test_synonyms_are_of_names_and_of_values(tmp_path: Path) -> None:
    rules = {
        "paint": {"kind": "colour", "synonyms": {"#C02020": ["cherry", "red"], "paint": "coat"}},
        "doors": {"synonyms": ["gates"]},
    }
    manifest = _read(tmp_path, _manifest(attributes=rules))
    assert manifest.synonyms == {
        "paint": Spoken(("coat",), {"#c02020": ("cherry", "red")}),
        "doors": Spoken(("gates",)),
    }


BY_FORM = {
    "not JSON": "{",
    "not an object": "[]",
    "no assets": {"family": "x"},
    "an empty list": _manifest(assets=[]),
    "a family that no record could hold": _manifest(family="two words"),
    "an asset without attributes": _manifest(assets=[_asset(attributes={})]),
    "a file without a name": _manifest(assets=[_asset(file="")]),
    "a value that is a list": _manifest(assets=[_asset(attributes={"paint": ["red"]})]),
    "a value that is a truth": _manifest(assets=[_asset(attributes={"paint": True})]),
    "a negative size": _manifest(assets=[_asset(bytes=-1)]),
    "an unknown kind": _manifest(attributes={"paint": {"kind": "color"}}),
    "a misspelt rule": _manifest(attributes={"paint": {"synonym": {}}}),
    "a synonym that is no word": _manifest(attributes={"paint": {"synonyms": {"red": 3}}}),
}


@pytest.mark.parametrize("what", BY_FORM)
def test_what_the_schema_forbids_is_refused(tmp_path: Path, what: str) -> None:
    content = BY_FORM[what]
    with pytest.raises(InputError, match="manifest.json: not a gallery's manifest"):
        _read(tmp_path, content)
    if content != "{":
        parsed = json.loads(content) if isinstance(content, str) else content
        with pytest.raises(fastjsonschema.JsonSchemaValueException):
            fastjsonschema.validate(json.loads(SCHEMA.read_text()), parsed)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (_manifest(assets=[_asset(file="../a.png")]), "../a.png lies outside the gallery"),
        (_manifest(assets=[_asset(file="/a.png")]), "/a.png lies outside the gallery"),
        (_manifest(assets=[_asset(), _asset()]), "a.png is listed twice"),
        (
            _manifest(assets=[_asset(), _asset(file="b.png", attributes={"paint": "red"})]),
            "b.png has other attributes than the first asset",
        ),
        (_manifest(assets=[_asset(attributes={"paint": " "})]), "a.png: paint has no value"),
        (_manifest(attributes={"wheels": {}}), "no asset has 'wheels'; there is paint, doors"),
        (
            _manifest(assets=[_asset()], attributes={"paint": {"kind": "colour"}}),
            "a.png: paint: 'red' is not a colour like #ff8800",
        ),
        (_manifest(attributes={"paint": {"kind": "angle"}}), "'#c02020' is not an angle"),
        (
            _manifest(attributes={"paint": {"synonyms": {"green": ["moss"]}}}),
            "synonyms of paint 'green', which no asset has",
        ),
        (
            _manifest(attributes={"paint": {"synonyms": {"#c02020": "x", "#2020c0": "x"}}}),
            "paint 'x' means both #c02020 and #2020c0",
        ),
        (_manifest(prompt="{colour}"), "prompt '{colour}' is not a phrase"),
        (_manifest(prompt="shoe"), "prompt 'shoe' is not a phrase"),
        (_manifest(template="{wheels}.png"), "template '{wheels}.png': no asset has 'wheels'"),
        (_manifest(template="{paint"), "template '{paint'"),
        (_manifest(background="green"), "background 'green' is not a colour"),
    ],
)
def test_what_contradicts_itself_is_refused(
    tmp_path: Path, content: dict[str, Any], says: str
) -> None:
    fastjsonschema.validate(json.loads(SCHEMA.read_text()), content)
    with pytest.raises(InputError) as error:
        _read(tmp_path, content)
    assert says in str(error.value) and "manifest.json: " in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="manifest.json: No such file"):
        read_manifest(tmp_path)


def _json(path: Path) -> Any:
    return json.loads(path.read_text())
