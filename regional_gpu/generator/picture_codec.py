"""A model's pictures as bytes: cosine coefficients in steps, coded by what is known around them.

Pictures are in display levels (8-bit sRGB levels, or differences of such), any range, as floats.
Each is turned to luma and two colour differences, cut into blocks of 8x8, transformed, and
rounded to whole steps: these integers come back the same everywhere. Frequencies are coded from
low to high over all blocks at once, so that each coefficient is coded knowing the magnitudes of
lower frequencies in its block and in the blocks around, of the same frequency in half of these,
and in the luma when it is colour.
"""

import struct
import zlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kvsync.errors import InputError, ModelError
from regional_gpu.generator.entropy import Contexts, Reader, Writer

Floats = NDArray[np.float32]
Coefficients = NDArray[np.int32]

BLOCK: Final = 8
CHROMA: Final = 1.5
"""Colour differences are kept in steps this much larger than luma's."""
MOST_PICTURES: Final = 4096
MOST_SIDE: Final = 4096
_HEADER: Final = struct.Struct("<HHHI")

TO_YCC: Final = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]],
    dtype=np.float32,
)
FROM_YCC: Final = np.linalg.inv(TO_YCC).astype(np.float32)
_angles = np.outer(np.arange(BLOCK), 2 * np.arange(BLOCK) + 1) * np.pi / (2 * BLOCK)
COSINES: Final = (
    np.cos(_angles) * np.sqrt(np.where(np.arange(BLOCK) == 0, 1, 2) / BLOCK)[:, None]
).astype(np.float32)
"""The orthonormal cosine transform (DCT-II), (frequency, place)."""

ORDER: Final = tuple(
    sorted(((u, v) for u in range(BLOCK) for v in range(BLOCK)), key=lambda at: (sum(at), at))
)
_PLACE: Final = {at: index for index, at in enumerate(ORDER)}

# Contexts: kind (mean, luma, colour) x half of the blocks x bucket of the magnitude around.
BUCKETS: Final = 24
_LEVELS: Final = np.array(
    [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 19, 24, 30, 38, 48, 64, 88, 120, 170, 250, 380, 600, 1000]
)
_BUCKET: Final = np.searchsorted(_LEVELS, np.arange(_LEVELS[-1] + 1), side="right") - 1


def encode(pictures: Floats, steps: Sequence[float]) -> NDArray[np.uint8]:
    """Pictures, (pictures, height, width, 3), each in its own step of luma, as bytes, (n,).

    Raises InputError when there are none, or a step is too small for its picture.
    """
    count, height, width, channels = pictures.shape
    if not 0 < count <= MOST_PICTURES or len(steps) != count or channels != 3 or min(steps) <= 0:
        raise InputError(f"{count} pictures of {channels} channels with {len(steps)} steps")
    if not 0 < height <= MOST_SIDE or not 0 < width <= MOST_SIDE:
        raise InputError(f"pictures of {width}x{height}: at most {MOST_SIDE} a side")
    kept = np.array(steps, dtype="<f4")
    numbers = _rounded(pictures, kept)
    live = np.asarray(numbers.any(axis=1))
    writer = Writer(_contexts())
    _walk(writer, live, numbers)
    mask = zlib.compress(np.packbits(live).tobytes(), 9)
    header = _HEADER.pack(count, height, width, len(mask)) + kept.tobytes()
    return np.frombuffer(header + mask + writer.stream(), np.uint8).copy()


def decode(stream: NDArray[np.uint8]) -> Floats:
    """The pictures of a stream, (pictures, height, width, 3). Raises ModelError when broken."""
    numbers, steps, height, width = decode_integers(stream)
    return _pictures(numbers, steps)[:, :height, :width]


def decode_integers(stream: NDArray[np.uint8]) -> tuple[Coefficients, Floats, int, int]:
    """What a stream holds: coefficients in steps, (3, 64, pictures, rows, columns) by component
    and place in `ORDER`; the pictures' steps; height and width. Raises ModelError when broken.
    """
    content = stream.tobytes()
    try:
        count, height, width, length = _HEADER.unpack_from(content)
        steps = np.frombuffer(content, "<f4", count, _HEADER.size)
        start = _HEADER.size + 4 * count
        rows, columns = -(-height // BLOCK), -(-width // BLOCK)
        blocks = 3 * count * rows * columns
        unpacker = zlib.decompressobj()
        packed = unpacker.decompress(content[start : start + length], blocks // 8 + 1)
        live = np.unpackbits(np.frombuffer(packed, np.uint8), count=blocks).astype(np.bool_)
    except (struct.error, zlib.error, ValueError) as error:
        raise ModelError(f"decoder: not a stream of pictures ({error}); fetch it again") from None
    sound = 0 < count <= MOST_PICTURES and 0 < height <= MOST_SIDE and 0 < width <= MOST_SIDE
    if not sound or len(packed) != -(-blocks // 8) or not (steps > 0).all():
        raise ModelError("decoder: not a stream of pictures; fetch the model again")
    reader = Reader(_contexts(), content[start + length :])
    shape = (3, len(ORDER), count, rows, columns)
    numbers = _walk(reader, live.reshape(3, count, rows, columns), np.zeros(shape, np.int32))
    reader.finish()
    return numbers, steps.astype(np.float32), height, width


def _contexts() -> Contexts:
    around = np.tile(_LEVELS, 6)
    mean = np.repeat([64, 2, 2], 2 * BUCKETS)
    return Contexts(around * mean + 1)


def _walk(coder: Writer | Reader, live: NDArray[np.bool_], numbers: Coefficients) -> Coefficients:
    """Hand every coefficient of live blocks to a writer, or fill them in from a reader."""
    padded = (*numbers.shape[:3], numbers.shape[3] + 2, numbers.shape[4] + 2)
    sizes = np.zeros(padded, dtype=np.int32)
    odd = np.indices(numbers.shape[3:]).sum(axis=0) % 2 == 1
    halves = [[np.flatnonzero(own & (odd == half)) for half in (False, True)] for own in live]
    for place, at in enumerate(ORDER):
        for component in range(3):
            plane = numbers[component, place]
            if place == 0:
                plane = _differences(plane) * live[component]
            inner = sizes[component, place, :, 1:-1, 1:-1]
            known = _known(sizes, component, at)
            kind = 0 if place == 0 else 1 + (component > 0)
            for half, here in enumerate(halves[component]):
                if half:
                    known += 2 * _beside(sizes[component, place])
                    known //= 2
                bucket = _BUCKET[np.minimum(known.ravel()[here], _LEVELS[-1])]
                context = (2 * kind + half) * BUCKETS + bucket
                plane.ravel()[here] = coder.numbers(context, plane.ravel()[here].astype(np.int64))
                # Neighbours are of the other half: a writer's knowing both tells nothing.
                np.abs(plane, out=inner)
            if place == 0:
                numbers[component, 0] = _sums(plane, live[component])
    return numbers


def _known(sizes: Coefficients, component: int, at: tuple[int, int]) -> Coefficients:
    """Magnitudes around a coefficient, weighted: (pictures, rows, columns)."""
    own = sizes[component]
    total = np.zeros((own.shape[1], own.shape[2] - 2, own.shape[3] - 2), dtype=np.int32)
    u, v = at
    for du, dv, weight, spread in (
        (1, 0, 2, 1),
        (0, 1, 2, 1),
        (1, 1, 1, 0),
        (2, 0, 1, 0),
        (0, 2, 1, 0),
    ):
        lower = (u - du, v - dv)
        if min(lower) < 0 or lower == (0, 0):
            continue
        plane = own[_PLACE[lower]]
        total += weight * plane[:, 1:-1, 1:-1]
        if spread:
            total += _beside(plane) // 2
    for other in range(component):
        total += 2 * sizes[other, _PLACE[at], :, 1:-1, 1:-1]
    return total


def _beside(plane: Coefficients) -> Coefficients:
    """The sum over the four neighbours of each block of a padded plane."""
    return plane[:, :-2, 1:-1] + plane[:, 2:, 1:-1] + plane[:, 1:-1, :-2] + plane[:, 1:-1, 2:]


def _differences(means: Coefficients) -> Coefficients:
    """Block means less the one to the left."""
    return np.ascontiguousarray(np.diff(means, axis=2, prepend=0), dtype=np.int32)


def _sums(differences: Coefficients, live: NDArray[np.bool_]) -> Coefficients:
    """The inverse of `_differences`, where blocks that are not live are 0."""
    means = np.zeros_like(differences)
    left = np.zeros_like(differences[..., 0])
    for column in range(differences.shape[2]):
        left = np.where(live[..., column], left + differences[..., column], 0)
        means[..., column] = left
    return means


def _rounded(pictures: Floats, steps: Floats) -> Coefficients:
    count, height, width, _ = pictures.shape
    edges = ((0, 0), (0, -height % BLOCK), (0, -width % BLOCK), (0, 0))
    planes = np.pad(pictures, edges, mode="edge") @ TO_YCC.T
    rows, columns = planes.shape[1] // BLOCK, planes.shape[2] // BLOCK
    blocks = planes.reshape(count, rows, BLOCK, columns, BLOCK, 3)
    waves = np.einsum("ui,vj,kricjs->suvkrc", COSINES, COSINES, blocks, optimize=True)
    waves /= _component_steps(steps)
    numbers = np.rint(waves).astype(np.int32)
    return np.stack([numbers[:, u, v] for u, v in ORDER], axis=1)


def _pictures(numbers: Coefficients, steps: Floats) -> Floats:
    _, _, count, rows, columns = numbers.shape
    waves = np.empty((3, BLOCK, BLOCK, count, rows, columns), dtype=np.float32)
    for place, (u, v) in enumerate(ORDER):
        waves[:, u, v] = numbers[:, place]
    waves *= _component_steps(steps)
    planes = np.einsum("suvkrc,ui,vj->kricjs", waves, COSINES, COSINES, optimize=True)
    colours = planes.reshape(count, rows * BLOCK, columns * BLOCK, 3) @ FROM_YCC.T
    return np.ascontiguousarray(colours, dtype=np.float32)


def _component_steps(steps: Floats) -> Floats:
    """(3, 1, 1, pictures, 1, 1)."""
    by_component = np.outer([1, CHROMA, CHROMA], steps).astype(np.float32)
    return by_component[:, None, None, :, None, None]
