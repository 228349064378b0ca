"""Colours, angles and numbers between the gallery's are mixed; beyond them they are refused."""

import numpy as np
import pytest

from kvsync.errors import InputError
from regional_gpu.generator.continuous import Continuum, Kind, Method, canonical, read_colour

COLOURS = ("#101010", "#2040c0", "#20a040", "#c02020", "#e0c020", "#f4f4f0")


@pytest.mark.parametrize(
    ("kind", "text", "spelling"),
    [
        ("colour", "#F80", "#ff8800"),
        ("colour", "#FF8800", "#ff8800"),
        ("angle", "30 degrees", "30"),
        ("angle", "-90°", "270"),
        ("angle", "360", "0"),
        ("number", "3.50", "3.5"),
        ("number", "-0", "0"),
        ("number", "1200", "1200"),
        ("word", "Sky Blue", "Sky Blue"),
    ],
)
def test_a_value_has_one_spelling(kind: Kind, text: str, spelling: str) -> None:
    assert canonical(kind, text) == spelling


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("colour", "red"),
        ("colour", "#12345"),
        ("angle", "north"),
        ("number", "1e3"),
        ("number", ""),
    ],
)
def test_what_is_no_such_value_is_refused(kind: Kind, text: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        canonical(kind, text)


@pytest.mark.parametrize(
    ("kind", "method", "values"),
    [
        ("number", "linear", ("1", "2", "4", "8")),
        ("number", "smooth", ("1", "2", "4", "8")),
        ("angle", "linear", ("0", "90", "180", "270")),
        ("angle", "smooth", ("0", "90", "180", "270")),
        ("colour", "light", COLOURS),
        ("colour", "srgb", COLOURS),
    ],
)
def test_a_value_of_the_gallery_is_itself(
    kind: Kind, method: Method, values: tuple[str, ...]
) -> None:
    continuum = Continuum(kind, method, values)
    drawn = np.stack([continuum.weights(value) for value in values])
    assert np.array_equal(drawn, np.eye(len(values)))


@pytest.mark.parametrize("method", ["linear", "smooth"])
def test_what_grows_evenly_is_mixed_evenly(method: Method) -> None:
    weights = Continuum("number", method, ("1", "2", "4", "8")).weights("3")
    assert weights.sum() == pytest.approx(1) and weights @ [1, 2, 4, 8] == pytest.approx(3)


@pytest.mark.parametrize("method", ["linear", "smooth"])
def test_angles_go_round(method: Method) -> None:
    values = tuple(str(degrees) for degrees in range(0, 360, 45))
    weights = Continuum("angle", method, values).weights("337.5")
    assert weights[0] == pytest.approx(weights[-1]) and weights[0] > 0.4
    assert weights.sum() == pytest.approx(1)


def test_a_mixed_colour_is_the_colour_of_its_mix() -> None:
    continuum = Continuum("colour", "srgb", COLOURS)
    levels = np.array([read_colour(colour) for colour in COLOURS])
    assert continuum.weights("#806060") @ levels == pytest.approx([0x80, 0x60, 0x60])


@pytest.mark.parametrize(
    ("continuum", "value", "says"),
    [
        (Continuum("number", "linear", ("1", "8")), "9", "9 lies outside what the gallery shows"),
        (Continuum("angle", "smooth", ("0", "45", "90")), "200", "nothing between 90 and 0"),
        (Continuum("colour", "light", COLOURS), "#00ff00", "nearest is #20a040"),
        (Continuum("colour", "srgb", ("#000000", "#ffffff")), "#808000", "outside the colours"),
        (Continuum("angle", "values", ("0", "90")), "45", "nothing between its gallery's 0, 90"),
    ],
)
def test_beyond_the_gallery_is_refused(continuum: Continuum, value: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        continuum.weights(value)


def test_every_mix_of_the_gallerys_colours_is_inside() -> None:
    random = np.random.default_rng(0)
    levels = np.array([read_colour(colour) for colour in COLOURS])
    continuum = Continuum("colour", "srgb", COLOURS)
    for shares in random.dirichlet(np.full(len(COLOURS), 0.4), 100):
        mixed = np.rint(shares @ levels).astype(int)
        continuum.weights("#" + "".join(f"{level:02x}" for level in mixed))
