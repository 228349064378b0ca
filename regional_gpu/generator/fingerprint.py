"""The fingerprint of an approved picture: what a record keeps to know it again.

Integer arithmetic on 8-bit sRGB averaged to 96x96 cells, so that any machine, a browser included,
gets the same bytes: docs/record-format.md#fingerprint has the definition and test vectors.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kvsync.errors import InputError

ALGORITHM: Final = "grid1"
"""The name a record's check carries."""

SIDE: Final = 96
"""Cells a side of the reduced picture and of the attribute masks."""
MAX_BYTES: Final = 112
MAX_MASKS: Final = 8
"""Attributes beyond the eighth are covered by the grids alone."""

LUMA_GRID: Final = 6
PATTERN_GRID: Final = 4
TEXTURE_GRID: Final = 2
COLOUR_GRID: Final = 2

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """One kind of measure: `step` fine units are one stored level; `tolerance` is in fine units.

    `wraps`: only the low byte is stored, and differences are taken round the circle.
    `relative`: the approved value over this is added to the tolerance.
    """

    name: str
    step: int
    tolerance: int
    wraps: bool = False
    relative: int = 0


# Fine units are 1/64 of a level for what is made of luma, 1/16 for warmth (R-B) and
# greenness (2G-R-B). Tolerances were set from measured drift: `bench fingerprint`.
LUMA: Final = Part("luma", step=64, tolerance=96)
PATTERN: Final = Part("pattern", step=4, tolerance=10, wraps=True)
TEXTURE: Final = Part("texture", step=8, tolerance=29, relative=64)
WARMTH: Final = Part("warmth", step=16, tolerance=48, wraps=True)
GREENNESS: Final = Part("greenness", step=32, tolerance=128, wraps=True)
MASK_LUMA: Final = Part("mask luma", step=64, tolerance=96)
MASK_WARMTH: Final = Part("mask warmth", step=8, tolerance=40, wraps=True)
MASK_GREENNESS: Final = Part("mask greenness", step=16, tolerance=88, wraps=True)
MASK_CONTRAST: Final = Part("mask contrast", step=32, tolerance=64)

Measures = list[tuple[Part, Integers]]


@dataclass(frozen=True)
class Comparison:
    """`distance` is 1.0 at the tolerance; `worst` names the part that differed most."""

    matches: bool
    distance: float
    worst: str


def fingerprint(pixels: NDArray[np.uint8], masks: NDArray[np.uint8]) -> bytes:
    """At most 112 bytes for (height, width, 3) sRGB `pixels` under (attributes, 96, 96) `masks`.

    Raises InputError for other shapes.
    """
    stored = []
    for part, values in measure(reduce(pixels), masks):
        levels = (values + part.step // 2) // part.step
        stored.append(levels % 256 if part.wraps else levels.clip(0, 255))
    return np.concatenate(stored).astype(np.uint8).tobytes()


def compare(pixels: NDArray[np.uint8], masks: NDArray[np.uint8], approved: bytes) -> Comparison:
    """Whether `pixels` are the picture whose fingerprint was `approved`, under the same masks.

    A fingerprint of another length (another number of masks) never matches.
    """
    return judge(measure(reduce(pixels), masks), approved)


def judge(measures: Measures, approved: bytes) -> Comparison:
    """How far measured parts lie from a stored fingerprint: the largest share of a tolerance."""
    if len(approved) != sum(len(values) for _, values in measures):
        return Comparison(False, float("inf"), "length")
    levels = np.frombuffer(approved, np.uint8).astype(np.int64)
    distance, worst, start = 0.0, "none", 0
    for part, values in measures:
        expected = levels[start : start + len(values)] * part.step
        start += len(values)
        ratios = _ratios(part, values, expected)
        if len(ratios) and (largest := float(ratios.max())) > distance:
            distance, worst = largest, f"{part.name} {int(ratios.argmax())}"
    return Comparison(distance <= 1.0, distance, worst)


def measure(cells: Integers, masks: NDArray[np.uint8]) -> Measures:
    """Every part of a reduced picture in its fine units, in the order in which it is stored."""
    red, green, blue = cells[..., 0], cells[..., 1], cells[..., 2]
    luma, warmth, greenness = red + 2 * green + blue, red - blue, 2 * green - red - blue
    patterns = SIGNS[: _patterns(len(masks))] * luma
    return [
        (LUMA, _grid(luma, LUMA_GRID)),
        (PATTERN, np.concatenate([_grid(pattern, PATTERN_GRID) for pattern in patterns])),
        (TEXTURE, _grid(_texture(luma), TEXTURE_GRID)),
        (WARMTH, _grid(warmth, COLOUR_GRID)),
        (GREENNESS, _grid(greenness, COLOUR_GRID)),
        *_inside(masks[:MAX_MASKS], luma, warmth, greenness),
    ]


def reduce(pixels: NDArray[np.uint8]) -> Integers:
    """Mean of each of 96x96 cells in sixteenths of a level, (96, 96, 3).

    Cell i of n pixels spans i*n//96 to (i+1)*n//96, and at least one pixel.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise InputError(f"a fingerprint is of 8-bit (height, width, 3), not {pixels.shape}")
    height, width, _ = pixels.shape
    if height % SIDE or width % SIDE or height > 256 * SIDE:
        return _reduce_uneven(pixels)
    tall, wide = height // SIDE, width // SIDE
    rows = pixels.reshape(SIDE, tall, width * 3).sum(axis=1, dtype=np.uint16)
    # A product of small integers, exact in float32, is by far the fastest sum over columns.
    pick = np.tile(np.eye(3, dtype=np.float32), (wide, 1))
    sums = rows.reshape(SIDE * SIDE, wide * 3).astype(np.float32) @ pick
    return _sixteenths(sums.astype(np.int64).reshape(SIDE, SIDE, 3), np.int64(tall * wide))


def _reduce_uneven(pixels: NDArray[np.uint8]) -> Integers:
    rows, columns = (np.arange(SIDE + 1) * n // SIDE for n in pixels.shape[:2])
    tall, wide = np.diff(rows).clip(1), np.diff(columns).clip(1)
    sums = _sums(pixels, rows[:-1], tall)
    sums = _sums(sums.swapaxes(0, 1), columns[:-1], wide).swapaxes(0, 1)
    return _sixteenths(sums.astype(np.int64), (tall[:, None] * wide)[..., None])


def _sums(
    lines: NDArray[np.uint8] | NDArray[np.uint32], starts: Integers, counts: Integers
) -> NDArray[np.uint32]:
    """Sums of the `counts` lines from each start; no two counts differ by more than one."""
    least = int(counts.min())
    sums = lines[starts].astype(np.uint32)
    for step in range(1, least):
        sums += lines[starts + step]
    longer = counts > least
    sums[longer] += lines[starts[longer] + least]
    return sums


def _sixteenths(sums: Integers, count: Integers | np.int64) -> Integers:
    return np.asarray((sums * 16 + count // 2) // count)


def _texture(luma: Integers) -> Integers:
    """How rough each cell is: |mixed second difference| with the cells right and below."""
    rough = np.zeros_like(luma)
    difference = luma[:-1, :-1] - luma[1:, :-1] - luma[:-1, 1:] + luma[1:, 1:]
    rough[:-1, :-1] = np.abs(difference)
    return rough


def _grid(cells: Integers, side: int) -> Integers:
    """Mean of each of side x side equal blocks of (96, 96), row by row."""
    size = SIDE // side
    sums = cells.reshape(side, size, side, size).sum(axis=(1, 3)).ravel()
    return np.asarray((sums + size * size // 2) // (size * size))


def _patterns(masks: int) -> int:
    """As many sets of signed sums as the bytes that the masks leave allow: 4, 3 or 2."""
    grids = LUMA_GRID**2 + TEXTURE_GRID**2 + 2 * COLOUR_GRID**2
    return int((MAX_BYTES - grids - 4 * min(masks, MAX_MASKS)) // PATTERN_GRID**2)


def _inside(
    masks: NDArray[np.uint8], luma: Integers, warmth: Integers, greenness: Integers
) -> list[tuple[Part, Integers]]:
    """Weighted means and mean deviation of luma in each mask; an empty mask counts as zeros."""
    if masks.shape[1:] != (SIDE, SIDE):
        raise InputError(f"masks are (attributes, {SIDE}, {SIDE}), not {masks.shape}")
    weights = masks.reshape(len(masks), SIDE * SIDE).astype(np.int64)
    total = weights.sum(axis=1).clip(1)

    def mean(cells: Integers) -> Integers:
        return np.asarray(
            ((weights * cells.reshape(-1, SIDE * SIDE)).sum(axis=1) + total // 2) // total
        )

    bright = mean(luma)
    contrast = mean(np.abs(luma.ravel() - bright[:, None]))
    return [
        (MASK_LUMA, bright),
        (MASK_WARMTH, mean(warmth)),
        (MASK_GREENNESS, mean(greenness)),
        (MASK_CONTRAST, contrast),
    ]


def _ratios(part: Part, values: Integers, expected: Integers) -> NDArray[np.float64]:
    """Difference over tolerance, value by value."""
    difference = values - expected
    if part.wraps:
        circle = 256 * part.step
        difference = (difference + circle // 2) % circle - circle // 2
    allowed = part.tolerance + (expected // part.relative if part.relative else 0)
    return np.asarray(np.abs(difference) / allowed)


def _signs(sets: int) -> Integers:
    """+1 or -1, (sets, 96, 96): the top bit of Marsaglia's xorshift32 (13, 17, 5; 2003), seed 1."""
    state, signs = 1, []
    for _ in range(sets * SIDE * SIDE):
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        signs.append(-1 if state >> 31 else 1)
    return np.array(signs).reshape(sets, SIDE, SIDE)


# Averages hide a change that keeps the mean; sums under random signs do not.
SIGNS: Final = _signs(_patterns(0))
