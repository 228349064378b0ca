"""Prompts are sentences over the family's attributes, in any order."""

from pathlib import Path

import pytest

from kvsync.errors import InputError, ModelError
from regional_gpu.generator.continuous import Continuum
from regional_gpu.generator.text import Spoken, Vocabulary, read_vocabulary, vocabulary_json

WORDS = Vocabulary(
    {
        "lace": ("red", "sky blue", "white"),
        "sole": ("gum", "red", "white"),
        "view": ("front", "three-quarter"),
    },
    layout_by=("view",),
    layouts=(("front",), ("three-quarter",)),
)

TURNED = Vocabulary(
    {
        "paint": ("#202020", "#c02020", "#2020c0", "#20c020", "#e0e0e0"),
        "doors": ("2", "4"),
        "angle": ("0", "90", "180", "270"),
        "trim": ("chrome", "matt"),
    },
    continuous={
        "paint": Continuum(
            "colour", "srgb", ("#202020", "#c02020", "#2020c0", "#20c020", "#e0e0e0")
        ),
        "doors": Continuum("number", "values", ("2", "4")),
        "angle": Continuum("angle", "linear", ("0", "90", "180", "270")),
    },
    synonyms={
        "paint": Spoken(("coat",), {"#c02020": ("fire red", "cherry")}),
        "trim": Spoken((), {"chrome": ("shiny",)}),
    },
)


@pytest.mark.parametrize(
    "prompt",
    [
        "red lace, white sole, front view",
        "Front view, white sole, red laces.",
        "a front view of red laces and a white sole",
        "lace red sole white view front",
        "lace: red; sole: white; front",
        "sole in white, lace in red, front",
    ],
)
def test_any_order_and_wording_says_the_same(prompt: str) -> None:
    assert WORDS.read(prompt) == {"lace": "red", "sole": "white", "view": "front"}


def test_a_value_may_be_several_words() -> None:
    said = WORDS.read("gum sole with sky blue laces, three-quarter")
    assert said == {"lace": "sky blue", "sole": "gum", "view": "three-quarter"}


def test_a_value_that_only_one_attribute_has_needs_no_name() -> None:
    assert WORDS.read("sky blue, gum, front")["sole"] == "gum"


def test_an_unknown_word_is_refused_with_the_nearest_ones() -> None:
    with pytest.raises(InputError, match="never saw the word 'whit'.*white"):
        WORDS.read("red lace, whit sole, front view")


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("red lace, front view", "says nothing of sole: add one of gum, red, white"),
        ("red, white, front", "red could be lace or sole; write it as 'red lace'"),
        ("red lace, white lace, gum sole, front", "lace is given twice, red and white"),
        ("", "says nothing of lace"),
    ],
)
def test_what_is_missing_or_unclear_is_named(prompt: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        WORDS.read(prompt)


def test_tokens_number_the_values_in_order() -> None:
    assert WORDS.encode("red lace, gum sole, three-quarter view") == [0, 3, 7]


def test_the_layout_follows_from_the_layout_attributes() -> None:
    assert WORDS.layout("red lace, gum sole, three-quarter view") == 1


def test_a_layout_that_the_gallery_never_had_is_refused() -> None:
    only_front = Vocabulary(WORDS.attributes, layout_by=("view",), layouts=(("front",),))
    with pytest.raises(InputError, match="never saw three-quarter"):
        only_front.layout("red lace, gum sole, three-quarter view")


@pytest.mark.parametrize(
    "prompt",
    [
        "#c02020 paint, 4 doors, 90 angle, chrome trim",
        "a cherry coat with shiny trim and 4 doors at an angle of 90 degrees",
        "shiny, fire red, doors: 4, angle: 90°.",
        "chrome trim; #C02020 paint; 4.0 doors; 450 degrees angle",
    ],
)
def test_synonyms_and_other_spellings_say_the_same(prompt: str) -> None:
    said = {"paint": "#c02020", "doors": "4", "angle": "90", "trim": "chrome"}
    assert TURNED.read(prompt) == said


def test_a_value_between_the_gallerys_is_a_mix_of_its_tokens() -> None:
    weights = TURNED.weights("#c02020 paint, 2 doors, 30 degrees, matt")
    by_token = {pair: float(weights[at]) for pair, at in TURNED.tokens.items() if weights[at]}
    assert by_token == pytest.approx(
        {
            ("paint", "#c02020"): 1,
            ("doors", "2"): 1,
            ("angle", "0"): 2 / 3,
            ("angle", "90"): 1 / 3,
            ("trim", "matt"): 1,
        }
    )
    assert TURNED.encode("#c02020 paint, 2 doors, 30 degrees, matt") == [1, 5, 7, 12]


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("#00ff00 paint, 4 doors, 90 degrees, matt", "paint #00ff00 lies outside the colours"),
        ("#c02020 paint, 3 doors, 90 angle, matt", "doors 3: this model draws nothing between"),
        ("#c02020 paint, 4 doors, 90 angle, glossy trim", "never saw the word 'glossy'"),
        ("#c02020, 4, matt", "4 could be doors or angle; write it as '4 doors'"),
    ],
)
def test_continuous_values_that_cannot_be_drawn_are_refused(prompt: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TURNED.read(prompt)


@pytest.mark.parametrize("vocabulary", [WORDS, TURNED])
def test_a_vocabulary_survives_its_file(tmp_path: Path, vocabulary: Vocabulary) -> None:
    path = tmp_path / "vocabulary.json"
    path.write_text(vocabulary_json(vocabulary))
    assert read_vocabulary(path) == vocabulary


def test_a_vocabulary_whose_mixing_is_unknown_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.json"
    path.write_text(vocabulary_json(TURNED).replace('"srgb"', '"linear"'))
    with pytest.raises(ModelError, match="paint is no colour that is mixed by 'linear'"):
        read_vocabulary(path)


def test_a_damaged_vocabulary_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.json"
    path.write_text('{"attributes": 3}')
    with pytest.raises(ModelError, match="vocabulary.json"):
        read_vocabulary(path)
