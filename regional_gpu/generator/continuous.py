"""Attributes that are measured, not named: colours, angles, numbers, and what lies between them.

A value that the gallery has is drawn as the gallery has it. One between them is drawn with a mix
of the gallery's: :meth:`Continuum.weights` says how much of each. Every way to mix is linear in
what it mixes, so one mix serves embeddings, codes and pictures alike, and passes through the
gallery's own values. Which way a family takes was measured at training, on values left out.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from kvsync.errors import InputError

Floats = NDArray[np.float64]
Kind = Literal["word", "colour", "angle", "number"]
Method = Literal["values", "linear", "smooth", "light", "srgb"]

HEX: Final = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})")
NUMBER: Final = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)")
# Wider gaps on the circle are the end of what the gallery shows, not a step in it.
WIDEST_STEP_DEGREES: Final = 120.0
# A mix whose squares add up to more makes errors of the gallery's values larger: extrapolation.
MOST_SQUARED_WEIGHT: Final = 1.0 + 1e-6
# How far a colour may lie off the line or plane of a gallery's few colours, on a scale of 1.
MOST_OFF_COLOUR: Final = 0.02

METHODS: Final[Mapping[Kind, tuple[Method, ...]]] = {
    "word": (),
    "colour": ("light", "srgb"),
    "angle": ("linear", "smooth"),
    "number": ("linear", "smooth"),
}
"""Ways to mix, the plainest first; ``values`` (do not mix) is open to every kind."""


def canonical(kind: Kind, value: str) -> str:
    """The one spelling of a value: ``#rrggbb``, degrees from 0 to below 360, a plain decimal.

    Raises ValueError, saying what is wanted, for a text that is no such value.
    """
    text = value.strip().casefold()
    if kind == "word":
        return value
    if kind == "colour":
        if not HEX.fullmatch(text):
            raise ValueError(f"{value!r} is not a colour like #ff8800")
        digits = text[1:] if len(text) == 7 else "".join(digit * 2 for digit in text[1:])
        return f"#{digits}"
    if kind == "angle":
        text = re.sub(r"\s*(°|deg|degrees?)$", "", text)
    if not NUMBER.fullmatch(text):
        wanted = "an angle in degrees" if kind == "angle" else "a number"
        raise ValueError(f"{value!r} is not {wanted}")
    number = Decimal(text)
    if kind == "angle":
        number = (number % 360 + 360) % 360
    # Adding nought turns -0 into 0.
    return f"{number.normalize() + 0:f}"


def in_order(kind: Kind, values: set[str]) -> tuple[str, ...]:
    """A gallery's values of one attribute: numbers and angles by size, others by name."""
    return tuple(sorted(values, key=float if kind in ("angle", "number") else None))


@dataclass(frozen=True)
class Continuum:
    """A continuous attribute of a model: the gallery's values, and how to mix them."""

    kind: Kind
    method: Method
    values: tuple[str, ...]  # canonical

    def weights(self, value: str) -> Floats:
        """How much of each of ``values`` makes the canonical ``value``, (values,); they add to 1.

        Raises :class:`InputError` for a value beyond those of the gallery, or between them where
        the model does not mix.
        """
        if value in self.values:
            return np.array([value == known for known in self.values], np.float64)
        if self.method == "values":
            known = ", ".join(self.values)
            raise InputError(f"{value}: this model draws nothing between its gallery's {known}")
        weights = self.mix(value)
        if self.kind == "colour":
            self._check_colour(value, weights)
        elif self.kind == "angle":
            self._check_angle(float(value))
        else:
            self._check_number(float(value))
        return weights

    def mix(self, value: str) -> Floats:
        """The same without asking how far ``value`` lies from the gallery's, nor whether it is
        one: what a measurement of the method needs."""
        if self.kind == "colour":
            points = np.stack([self._place(known) for known in self.values])
            return _spline(points, self._place(value), lambda r: -r)
        points, at = np.array([float(known) for known in self.values]), float(value)
        if self.kind == "angle" and self.method == "smooth":
            return _spline(_circle(points), _circle(np.array([at]))[0], lambda r: r**3)
        if self.kind == "angle":
            return _round(points, at)
        if self.method == "smooth":
            scaled = (np.append(points, at) - points[0]) / np.ptp(points)
            return _spline(scaled[:-1, None], scaled[-1:], lambda r: r**3)
        return _between(points, at)

    def _place(self, colour: str) -> Floats:
        return _light(colour) if self.method == "light" else _srgb(colour)

    def _check_number(self, value: float) -> None:
        if not float(self.values[0]) <= value <= float(self.values[-1]):
            span = f"{self.values[0]} to {self.values[-1]}"
            raise InputError(f"{value:g} lies outside what the gallery shows, {span}")

    def _check_angle(self, value: float) -> None:
        points = np.array([float(known) for known in self.values])
        after = int(np.searchsorted(points, value)) % len(points)
        if ((points[after] - points[after - 1]) % 360 or 360) > WIDEST_STEP_DEGREES:
            gap = f"{self.values[after - 1]} and {self.values[after]}"
            raise InputError(f"{value:g} degrees: the gallery shows nothing between {gap} degrees")

    def _check_colour(self, value: str, weights: Floats) -> None:
        points, at = np.stack([self._place(known) for known in self.values]), self._place(value)
        missed = np.linalg.norm(weights @ points - at)
        if float(weights @ weights) > MOST_SQUARED_WEIGHT or missed > MOST_OFF_COLOUR:
            near = self.values[int(np.linalg.norm(points - at, axis=1).argmin())]
            raise InputError(
                f"{value} lies outside the colours that the gallery shows; the nearest is {near}"
            )


def _between(points: Floats, value: float) -> Floats:
    """On the straight line through the two neighbours; beyond the ends, through the last two."""
    after = min(max(int(np.searchsorted(points, value)), 1), len(points) - 1)
    weights = np.zeros(len(points))
    share = (value - points[after - 1]) / (points[after] - points[after - 1])
    weights[after - 1], weights[after] = 1 - share, share
    return weights


def _round(points: Floats, value: float) -> Floats:
    """The same on the circle."""
    after = int(np.searchsorted(points, value)) % len(points)
    weights = np.zeros(len(points))
    step = (points[after] - points[after - 1]) % 360 or 360
    share = (value - points[after - 1]) % 360 / step
    weights[after - 1] += 1 - share
    weights[after] += share
    return weights


def _spline(points: Floats, at: Floats, kernel: Callable[[Floats], Floats]) -> Floats:
    """Weights at ``at`` of the polyharmonic spline through ``points``, (values, dimensions), with
    a linear drift (Duchon 1977). Points that leave the drift open get its shortest form."""
    drift = np.column_stack([np.ones(len(points)), points])
    terms = drift.shape[1]
    system = np.zeros((len(points) + terms, len(points) + terms))
    system[: len(points), : len(points)] = kernel(_distances(points, points))
    system[: len(points), len(points) :] = drift
    system[len(points) :, : len(points)] = drift.T
    wanted = np.concatenate([kernel(_distances(points, at[None])[:, 0]), [1.0], at])
    solved: Floats = np.linalg.lstsq(system, wanted, rcond=1e-10)[0]
    return solved[: len(points)]


def _distances(first: Floats, second: Floats) -> Floats:
    return np.asarray(np.linalg.norm(first[:, None] - second[None], axis=-1))


def _circle(degrees: Floats) -> Floats:
    angles = np.radians(degrees)
    return np.column_stack([np.cos(angles), np.sin(angles)])


def _srgb(colour: str) -> Floats:
    return np.array(list(bytes.fromhex(colour[1:])), np.float64) / 255


def _light(colour: str) -> Floats:
    """Linear light, 0 to 1 (IEC 61966-2-1)."""
    coded = _srgb(colour)
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def read_colour(text: str) -> tuple[int, int, int]:
    """``#rrggbb`` or ``#rgb`` as 8-bit red, green and blue. Raises ValueError."""
    red, green, blue = bytes.fromhex(canonical("colour", text)[1:])
    return red, green, blue
