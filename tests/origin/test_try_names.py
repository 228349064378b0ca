"""File names tell what pictures show where a part of them repeats."""

from itertools import product
from pathlib import PurePosixPath

from origin.try_names import attributes_from_names

LACES, SOLES, VIEWS = ("red", "white", "sky-blue"), ("gum", "black"), ("front", "three-quarter")


def _guess(*names: str) -> list[dict[str, str]] | None:
    return attributes_from_names([PurePosixPath(name) for name in names])


def test_parts_that_vary_are_attributes_and_those_that_do_not_are_none() -> None:
    combinations = list(product(LACES, SOLES, VIEWS))
    names = [f"rumba_{lace}_{sole}_{view}.jpg" for lace, sole, view in combinations]
    assert _guess(*names) == [
        {"part1": lace, "part2": sole, "part3": view} for lace, sole, view in combinations
    ]


def test_hyphens_may_part_words_and_belong_to_one() -> None:
    combinations = list(product(("heart", "arrow-left", "star"), ("red", "blue")))
    found = _guess(*(f"{motif}-{colour}.png" for motif, colour in combinations))
    assert found is not None
    assert found[2] == {"part1": "arrow left", "part2": "red"}


def test_a_counter_is_no_attribute() -> None:
    names = [
        f"{at:03}-{colour}-{size}.jpg"
        for at, (colour, size) in enumerate(product(("red", "blue", "green"), ("small", "large")))
    ]
    found = _guess(*names)
    assert found is not None and found[0] == {"part1": "red", "part2": "small"}
    assert _guess(*(f"IMG_{at:04}.jpg" for at in range(40))) is None


def test_folders_count_as_parts() -> None:
    pairs = product(("shoes", "bags"), ("red", "blue", "green"))
    found = _guess(*(f"{kind}/{colour}.png" for kind, colour in pairs))
    assert found is not None and found[0] == {"part1": "shoes", "part2": "red"}


def test_parts_that_always_change_together_are_one() -> None:
    names = [f"{code}_{sole}.jpg" for code in ("17_red", "23_blue") for sole in ("gum", "black")]
    found = _guess(*names)
    assert found is not None and found[0] == {"part1": "17", "part2": "gum"}


def test_camel_case_is_parted() -> None:
    found = _guess(
        *(f"{lace}{sole}.png" for lace, sole in product(("Red", "Blue"), ("Gum", "Ink")))
    )
    assert found is not None and found[1] == {"part1": "Red", "part2": "Ink"}


def test_names_without_repetition_say_nothing() -> None:
    assert _guess("sunset.jpg", "birthday.jpg", "cat.jpg") is None
    assert _guess("one.jpg") is None
