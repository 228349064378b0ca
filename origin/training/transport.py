"""Pictures as sums: a cell's base, and for each colour attribute a few pictures times codes.

    picture[channel] = base[channel] + Σ shared[component, channel] × code[component, channel]

In linear light that is how a renderer adds up what each part reflects, so one component an
attribute may do. Codes belong to the family; base and shared pictures belong to a cell (the
pictures of one combination of the attributes that move things). Everything is fitted from inner
products of a cell's pictures, (assets x assets), whatever their size: alternating least squares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

ROUNDS = 40
# Against values that a cell's few pictures cannot tell apart, as a share of the mean energy.
RIDGE = 1e-6


@dataclass(frozen=True)
class Cell:
    """What the fit needs of one cell's pictures: no pixels."""

    gram: Doubles  # (3, assets, assets): inner products of centred pictures, by channel
    columns: Doubles  # (assets, values): 1 where an asset has a value


@dataclass(frozen=True)
class Codes:
    """What each attribute value adds of each shared picture."""

    values: Doubles  # (values, components, 3), 0 where a component is another attribute's
    owners: tuple[int, ...]  # of each component, the place of its attribute

    def rows(self, columns: Doubles) -> Doubles:
        """Codes of pictures that have these values: (assets, components, 3)."""
        return np.asarray(np.tensordot(columns, self.values, axes=(1, 0)))


def fit(cells: Sequence[Cell], attribute_of: NDArray[np.intp], ranks: Mapping[int, int]) -> Codes:
    """Codes for ``ranks``: attribute to its number of components.

    ``attribute_of``, (values,), is the place of each value's attribute. Each component's codes
    have mean 0 and root mean square 1 over the pictures of all cells.
    """
    owners = tuple(at for at, rank in sorted(ranks.items()) for _ in range(rank))
    own = np.equal.outer(attribute_of, np.array(owners, dtype=np.intp))
    channels = [_alternate(cells, own, channel) for channel in range(3)]
    return Codes(np.stack(channels, axis=-1), owners)


def shares(cell: Cell, codes: Codes) -> Doubles:
    """Weights of a cell's pictures that give its shared pictures, (3, components, assets).

    The base is the cell's mean picture less ``shares @ pictures`` at the cell's mean code.
    """
    rows = codes.rows(cell.columns)
    return np.stack([_shares(_centred(rows[..., channel])) for channel in range(3)])


def _alternate(cells: Sequence[Cell], own: NDArray[np.bool_], channel: int) -> Doubles:
    codes = _start(cells, own, channel)
    for _ in range(ROUNDS if own.shape[1] else 0):
        codes = _normal(cells, _codes(cells, own, codes, channel), own)
    return codes


def _start(cells: Sequence[Cell], own: NDArray[np.bool_], channel: int) -> Doubles:
    """The leading directions of each attribute's additive effects."""
    values, components = own.shape
    inner = np.zeros((values, values))
    for cell in cells:
        effects = np.linalg.pinv(_centred(cell.columns), rcond=1e-3)
        inner += effects @ cell.gram[channel] @ effects.T
    codes = np.zeros((values, components))
    done = 0
    while done < components:
        rows = own[:, done]
        rank = int((own == rows[:, None]).all(axis=0).sum())
        energy, directions = np.linalg.eigh(inner[np.ix_(rows, rows)])
        codes[rows, done : done + rank] = directions[:, ::-1][:, :rank]
        done += rank
    return _normal(cells, codes, own)


def _codes(cells: Sequence[Cell], own: NDArray[np.bool_], codes: Doubles, channel: int) -> Doubles:
    """Best codes for the shared pictures that ``codes`` give."""
    at_value, at_component = own.nonzero()
    square, right = np.zeros((len(at_value), len(at_value))), np.zeros(len(at_value))
    for cell in cells:
        columns = _centred(cell.columns)
        share = _shares(_centred(cell.columns @ codes))
        inner = share @ cell.gram[channel]
        energy = inner @ share.T
        square += (columns.T @ columns)[np.ix_(at_value, at_value)] * energy[
            np.ix_(at_component, at_component)
        ]
        right += (columns.T @ inner.T)[at_value, at_component]
    ridge = RIDGE * max(np.trace(square) / max(len(square), 1), 1e-12)
    found = np.zeros_like(codes)
    found[own] = np.linalg.solve(square + ridge * np.eye(len(square)), right)
    return found


def _normal(cells: Sequence[Cell], codes: Doubles, own: NDArray[np.bool_]) -> Doubles:
    """The same span with mean 0 and orthogonal codes of mean square 1 over all pictures."""
    count = sum((cell.columns.sum(axis=0) for cell in cells), np.zeros(len(own)))
    codes = codes.copy()
    done = 0
    while done < own.shape[1]:
        rows = own[:, done]
        rank = int((own == rows[:, None]).all(axis=0).sum())
        weight = count[rows, None] / count[rows].sum()
        part = codes[rows, done : done + rank]
        part = part - (weight * part).sum(axis=0)
        left, _, right = np.linalg.svd(np.sqrt(weight) * part, full_matrices=False)
        codes[rows, done : done + rank] = left @ right / np.sqrt(np.maximum(weight, 1e-12))
        done += rank
    return codes


def _shares(rows: Doubles) -> Doubles:
    """(components, assets) weights of pictures whose centred codes are ``rows``."""
    square = rows.T @ rows
    ridge = RIDGE * max(np.trace(square) / max(len(square), 1), 1e-12)
    return np.asarray(np.linalg.solve(square + ridge * np.eye(len(square)), rows.T))


def _centred(rows: Doubles) -> Doubles:
    return np.asarray(rows - rows.mean(axis=0))
