"""What lies between a gallery's values is measured on values left out, and mixed or refused."""

import numpy as np
import pytest
from numpy.typing import NDArray

from origin.training.between import LEAST_EXPLAINED, best_method, explained
from regional_gpu.generator.continuous import read_colour

TURNS = tuple(str(degrees) for degrees in range(0, 360, 30))
SIZES = ("1", "2", "3", "4", "6", "8")
COLOURS = ("#101010", "#2040c0", "#20a040", "#c02020", "#e0c020", "#f4f4f0", "#808080", "#a06040")


def _lamp(degrees: str) -> NDArray[np.float64]:
    """A wall lit from a side: brightness goes with the cosine."""
    across = np.linspace(0, np.pi, 50)
    return np.asarray(np.cos(across - np.radians(float(degrees))))


def _hand(degrees: str) -> NDArray[np.float64]:
    """A clock's hand: a spot that moves by more than its own width."""
    around = np.arange(360)
    return ((around - float(degrees)) % 360 < 15).astype(float) * 100


def test_colours_are_mixed_by_the_space_that_foretells_them() -> None:
    levels = np.array([read_colour(colour) for colour in COLOURS], np.float32)
    assert best_method("colour", COLOURS, levels) == "srgb"
    light = np.where(levels > 10, ((levels / 255 + 0.055) / 1.055) ** 2.4, levels / 255 / 12.92)
    assert best_method("colour", COLOURS, light.astype(np.float32)) == "light"


def test_a_light_that_turns_is_mixed_and_a_shape_that_turns_is_not() -> None:
    lamp = np.stack([_lamp(turn) for turn in TURNS]).astype(np.float32)
    assert best_method("angle", TURNS, lamp) == "smooth"
    assert explained("angle", "smooth", TURNS, lamp) > 0.999
    hand = np.stack([_hand(turn) for turn in TURNS]).astype(np.float32)
    assert best_method("angle", TURNS, hand) == "values"
    assert explained("angle", "linear", TURNS, hand) < LEAST_EXPLAINED


@pytest.mark.parametrize("grows", [lambda size: size, lambda size: size**2, np.sqrt])
def test_what_grows_steadily_is_mixed(grows: np.ufunc) -> None:
    effects = grows(np.array([[float(size)] for size in SIZES])).astype(np.float32)
    assert best_method("number", SIZES, effects) in ("linear", "smooth")


def test_values_without_order_are_not_mixed() -> None:
    noise = np.random.default_rng(0).normal(size=(len(SIZES), 40)).astype(np.float32)
    assert best_method("number", SIZES, noise) == "values"


def test_two_values_are_joined_plainly_and_one_is_not() -> None:
    assert best_method("number", ("1", "2"), np.eye(2, dtype=np.float32)) == "linear"
    assert best_method("number", ("1",), np.zeros((1, 3), np.float32)) == "values"
