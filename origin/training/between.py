"""How a family draws what lies between its gallery's colours, angles and numbers.

Each value is left out in turn and foretold from the others, by every way of mixing that its kind
has. The best one is kept if it foretells well; else the model draws the gallery's values only.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kvsync.errors import InputError
from origin.gallery import Gallery
from regional_gpu.generator.continuous import METHODS, Continuum, Kind, Method

Effects = NDArray[np.float32] | NDArray[np.float64]

# Of what varies from value to value: below this, a mix of neighbours is another picture than
# theirs (a turned shape shows twice), and shoppers would see it.
LEAST_EXPLAINED = 0.8


def choose_methods(
    gallery: Gallery, layout_by: Sequence[str], effects: Effects
) -> dict[str, Method]:
    """How to mix each continuous attribute.

    ``effects``: (values, elements), what each value does to the picture in any terms whose squares
    compare, for all attributes' values in order. Attributes of the layout are never mixed: their
    method is ``values``.
    """
    chosen: dict[str, Method] = {}
    first = 0
    for name in gallery.attributes:
        values = gallery.values(name)
        kind = gallery.continuous.get(name)
        if kind is not None:
            own = effects[first : first + len(values)]
            chosen[name] = "values" if name in layout_by else best_method(kind, values, own)
        first += len(values)
    return chosen


def best_method(kind: Kind, values: Sequence[str], effects: Effects) -> Method:
    """The method that foretells left-out ``effects``, (values, elements), best; ``values`` if
    none does it well. Two values leave nothing to foretell: they are joined plainly."""
    if len(values) < 2:
        return "values"
    if len(values) == 2:
        return METHODS[kind][0]
    trials = [(explained(kind, method, values, effects), method) for method in METHODS[kind]]
    share, method = max(trials, key=lambda trial: trial[0])
    return method if share >= LEAST_EXPLAINED else "values"


def explained(kind: Kind, method: Method, values: Sequence[str], effects: Effects) -> float:
    """The share of the variance between values that is foretold when each is left out in turn.

    Values that the others do not enclose are left aside, unless that leaves none.
    """
    centred = effects - effects.mean(axis=0)
    errors, energies, inside = [], [], []
    for at, value in enumerate(values):
        others = [index for index in range(len(values)) if index != at]
        continuum = Continuum(kind, method, tuple(values[index] for index in others))
        foretold = continuum.mix(value) @ centred[others]
        errors.append(float(np.square(foretold - centred[at]).sum()))
        energies.append(float(np.square(centred[at]).sum()))
        inside.append(_encloses(continuum, value))
    if not any(inside):
        inside = [True] * len(values)
    error = sum(one for one, counts in zip(errors, inside, strict=True) if counts)
    mean_energy = sum(energies) / len(values)
    return 1 - error / (sum(inside) * mean_energy) if mean_energy else 1.0


def _encloses(continuum: Continuum, value: str) -> bool:
    try:
        continuum.weights(value)
    except InputError:
        return False
    return True
