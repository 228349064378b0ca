"""Prompt sets as people write them, read and checked without a server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvsync.errors import InputError
from origin.console.prompt_sets.checking import (
    FamilyModel,
    Good,
    Known,
    attributes_key,
    check_lines,
)
from origin.console.prompt_sets.reading import Line, Wrong, read_lines
from origin.console.prompt_sets.returning import returned
from origin.console.prompt_sets.templates import filled, named_by
from regional_gpu.generator.text import Vocabulary

MODEL = FamilyModel(
    bytes.fromhex("7460a6fa" * 8),
    Vocabulary({"lace": ("red", "white"), "sole": ("black", "white")}),
    (768, 768),
    most_steps=1,
)
ASSETS = {"/shop/red-black.jpg": {"lace": "red", "sole": "black"}}


def canonical(path: str) -> str:
    full = path if path.startswith("/") else f"/shop/{path}"
    if full not in {*ASSETS, "/shop/other.jpg"}:
        raise InputError(f"asset {path!r} is not in the asset store")
    return full


def known(**asked: frozenset[tuple[str, int | None]]) -> Known:
    by_attributes = {attributes_key(values): path for path, values in ASSETS.items()}
    return Known(
        canonical,
        by_attributes.get,
        lambda path: ASSETS.get(path, {}),
        lambda paths: {f"/shop/{name}.jpg": one for name, one in asked.items()},
    )


def read(text: str, name: str = "set.txt") -> list[Line | Wrong]:
    return list(read_lines(text.encode(), name))


def checked(text: str, **asked: frozenset[tuple[str, int | None]]) -> list[Good | Wrong]:
    return list(check_lines(read(text), MODEL, known(**asked)))


def test_the_communitys_one_line_form_is_read() -> None:
    text = (
        "red laces, white sole, Steps: 4, Sampler: Euler, CFG scale: 1, Seed: 1985738629, "
        "Size: 768x512, Model hash: 7460a6fa"
    )
    assert read(text) == [
        Line(
            1,
            text,
            "red laces, white sole",
            None,
            1985738629,
            768,
            512,
            4,
            "Euler",
            1.0,
            "7460a6fa",
        )
    ]


def test_a_prompt_may_have_colons_and_no_settings() -> None:
    (line,) = read("a shoe: red laces, white sole")
    assert isinstance(line, Line) and line.prompt == "a shoe: red laces, white sole"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_columns_go_by_their_names_in_any_order(delimiter: str) -> None:
    rows = [["Seed", "Asset", "Prompt"], ["7", "a.jpg", "red lace"], ["", "b.jpg", "white lace"]]
    (first, second) = read("\n".join(delimiter.join(row) for row in rows), "set.csv")
    assert isinstance(first, Line) and (first.path, first.seed, first.number) == ("a.jpg", 7, 2)
    assert isinstance(second, Line) and second.seed is None


def test_csv_as_spreadsheets_save_it() -> None:
    data = '\ufeffprompt,size\r\n"red lace, white sole",768x768\r\n'.encode()
    (line,) = read_lines(data, "set.csv")
    assert isinstance(line, Line) and line.prompt == "red lace, white sole" and line.width == 768


def test_json_lines_are_read() -> None:
    (line, wrong, other) = read(
        '{"prompt": "red lace", "seed": 3, "size": [768, 768]}\n{"prompt": \n[1]', "set.jsonl"
    )
    assert isinstance(line, Line) and (line.seed, line.height) == (3, 768)
    assert isinstance(wrong, Wrong) and wrong.number == 2 and "not JSON" in wrong.why
    assert isinstance(other, Wrong) and "not a JSON object" in other.why


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("red lace, Seed: -1", "seed '-1' is not a whole number"),
        ("red lace, Seed: 9223372036854775808", "seed 9223372036854775808 is not between"),
        ("red lace, Size: 768", "size '768' is not like 768x768"),
        ("red lace, Steps: 0", "steps 0 is not between 1 and 1000"),
        ("red lace, CFG scale: hot", "cfg scale 'hot' is not a number"),
        (", Seed: 3", "has no prompt"),
        ("x" * 9_000, "longer than"),
    ],
)
def test_a_row_that_cannot_be_read_says_why_and_the_others_go_on(row: str, why: str) -> None:
    wrong, line = read(f"{row}\nred lace")
    assert isinstance(wrong, Wrong) and why in wrong.why and wrong.number == 1
    assert isinstance(line, Line)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xff\xd8\xff\xe0", "not UTF-8"),
        (b"a\0b", "not a text file"),
        (b"seed,asset\n1,a.jpg", "one called prompt"),
    ],
)
def test_what_is_no_prompt_set_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(InputError, match=why):
        list(read_lines(data, "set.csv"))


@given(st.binary(max_size=400), st.sampled_from(["a.csv", "a.jsonl", "a.txt"]))
def test_no_bytes_are_too_strange(data: bytes, name: str) -> None:
    try:
        found = list(read_lines(data, name))
    except InputError:
        return
    assert all(isinstance(one, Line | Wrong) for one in found)


def test_an_asset_is_found_by_what_the_prompt_says_of_it() -> None:
    (good,) = checked("black sole, red lace")
    assert isinstance(good, Good)
    assert (good.path, good.verdict, good.width) == ("/shop/red-black.jpg", "new", 768)
    assert good.attributes == {"lace": "red", "sole": "black"}


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("purple lace, black sole", "never saw the word 'purple'"),
        ("red lace, black sole, Size: 512x512", "this model draws 768x768"),
        ("red lace, black sole, Model hash: deadbeef", "is of model deadbeef"),
        ("red lace, black sole, Steps: 4", "steps 4: this model takes 1 step"),
        ("red lace, black sole, Steps: 1, Sampler: DPM++ 2M", "this model takes Euler only"),
        ("red lace, black sole, CFG scale: 7", "cfg scale 7: this model takes 1 only"),
        ("white lace, white sole", "no asset shows just what its prompt says"),
        ("gone.jpg\tred lace, black sole", "not in the asset store"),
    ],
)
def test_a_row_that_does_not_fit_says_why(row: str, why: str) -> None:
    (wrong,) = checked(row)
    assert isinstance(wrong, Wrong) and why in wrong.why


def test_a_prompt_may_be_for_an_asset_that_nobody_described() -> None:
    (good,) = checked("other.jpg\twhite lace, white sole")
    assert isinstance(good, Good) and good.path == "/shop/other.jpg"


def test_new_changed_known_and_twice() -> None:
    asked = {"red-black": frozenset({("red lace, black sole", None)})}
    first, second, third = checked(
        "red lace, black sole\nblack sole, red lace\nblack sole, red lace", **asked
    )
    assert isinstance(first, Good) and first.verdict == "known"
    assert isinstance(second, Good) and second.verdict == "changed"
    assert isinstance(third, Wrong) and third.why == "says the same as line 2"


def test_a_template_fills_in_attributes() -> None:
    lines = list(filled("{lace} laces on a {sole} sole", ASSETS.items()))
    assert [line.prompt for line in lines] == ["red laces on a black sole"]


@pytest.mark.parametrize(
    "template", ["{nose}", "{0}", "{lace!r}", "{lace.__class__}", "{", "plain"]
)
def test_a_template_that_names_no_attribute_is_refused(template: str) -> None:
    with pytest.raises(InputError, match="template"):
        list(filled(template, ASSETS.items()))


def test_attributes_are_read_from_names() -> None:
    names = ["shoe_red_black.jpg", "shoe_red_off-white.jpg", "readme.txt"]
    assert list(named_by("shoe_{lace}_{sole}.jpg", names)) == [
        ("shoe_red_black.jpg", {"lace": "red", "sole": "black"}),
        ("shoe_red_off-white.jpg", {"lace": "red", "sole": "off-white"}),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("set.csv", 'asset;prompt;seed\n"a;b.jpg";"red lace, white sole";-1\n;;;;\n'),
        ("set.jsonl", '{"prompt": "red lace", "seed": -1}\nnot json\n'),
        ("set.txt", "red lace, Steps: 1, Seed: x\n"),
    ],
)
def test_wrong_rows_come_back_as_they_came_and_can_be_uploaded_again(name: str, text: str) -> None:
    wrong = [one for one in read(text, name) if isinstance(one, Wrong)]
    file, _, rows = returned(text.encode(), name, wrong)
    again = [one for one in read(rows.decode(), file) if isinstance(one, Wrong)]
    assert [one.why for one in again] == [one.why for one in wrong]
    assert wrong[0].why in rows.decode()
