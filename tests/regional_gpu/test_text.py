"""Prompts are sentences over the family's attributes, in any order."""

from pathlib import Path

import pytest

from kvsync.errors import InputError, ModelError
from regional_gpu.generator.text import Vocabulary, read_vocabulary, vocabulary_json

WORDS = Vocabulary(
    {
        "lace": ("red", "sky blue", "white"),
        "sole": ("gum", "red", "white"),
        "view": ("front", "three-quarter"),
    },
    layout_by=("view",),
    layouts=(("front",), ("three-quarter",)),
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


def test_a_vocabulary_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.json"
    path.write_text(vocabulary_json(WORDS))
    assert read_vocabulary(path) == WORDS


def test_a_damaged_vocabulary_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.json"
    path.write_text('{"attributes": 3}')
    with pytest.raises(ModelError, match="vocabulary.json"):
        read_vocabulary(path)
