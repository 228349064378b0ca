import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kvsync.errors import InputError
from kvsync.rendition import ImageFormat, Still
from regional_gpu.generator.encode import decode, encode
from regional_gpu.generator.fingerprint import MAX_BYTES, compare, fingerprint

Pixels = NDArray[np.uint8]
Masks = NDArray[np.uint8]

SAMPLE = Path("origin/samples/rumba")
SPECIFICATION = Path("docs/record-format.md")


@pytest.fixture(scope="module")
def shoe() -> Pixels:
    return decode((SAMPLE / "masters/rumba_orange_red_front.png").read_bytes())


@pytest.fixture(scope="module")
def masks(shoe: Pixels) -> Masks:
    """The soles, by comparison with a shoe whose sole is of another colour."""
    other = decode((SAMPLE / "gallery/rumba_orange_black_front.jpg").read_bytes())
    apart = np.abs(shoe.astype(int) - other).max(axis=2) > 40
    cells = apart.reshape(96, 8, 96, 8).mean(axis=(1, 3))
    return np.asarray((cells * 255).round()[None], np.uint8)


@pytest.fixture(scope="module")
def approved(shoe: Pixels, masks: Masks) -> bytes:
    return fingerprint(shoe, masks)


def ramp(height: int, width: int) -> Pixels:
    """The picture of the specification's test vectors."""
    y, x, channel = np.ogrid[:height, :width, :3]
    return np.asarray((7 * x + 13 * y + 50 * channel + x * y // 16) % 256, np.uint8)


def squares(count: int) -> Masks:
    """The masks of the specification's test vectors."""
    mask, y, x = np.ogrid[:count, :96, :96]
    return np.where((y // 8 + x // 8) % 7 == mask, (y * 3 + x) % 256, 0).astype(np.uint8)


Cells = dict[tuple[int, int], int]


def reduced(pixels: Pixels) -> tuple[Cells, Cells, Cells, Cells]:
    """Luma, warmth, green and roughness of the 96x96 cells."""
    height, width, _ = pixels.shape
    image = pixels.tolist()
    luma: Cells = {}
    warmth: Cells = {}
    green: Cells = {}
    for v in range(96):
        top = v * height // 96
        rows = range(top, max((v + 1) * height // 96, top + 1))
        for u in range(96):
            left = u * width // 96
            columns = range(left, max((u + 1) * width // 96, left + 1))
            n = len(rows) * len(columns)
            r, g, b = (
                (16 * sum(image[y][x][c] for y in rows for x in columns) + n // 2) // n
                for c in range(3)
            )
            luma[v, u], warmth[v, u], green[v, u] = r + 2 * g + b, r - b, 2 * g - r - b
    rough = {
        (v, u): abs(luma[v, u] - luma[v + 1, u] - luma[v, u + 1] + luma[v + 1, u + 1])
        if v < 95 and u < 95
        else 0
        for v, u in luma
    }
    return luma, warmth, green, rough


def grid(cells: Cells, side: int) -> list[int]:
    """Rounded means over side x side blocks of cells."""
    size = 96 // side
    return [
        (
            sum(
                cells[v, u]
                for v in range(i * size, i * size + size)
                for u in range(j * size, j * size + size)
            )
            + size * size // 2
        )
        // (size * size)
        for i in range(side)
        for j in range(side)
    ]


def inside(mask: list[list[int]], cells: Cells) -> int:
    """The rounded mean of cells, weighted by a mask."""
    total = max(1, sum(map(sum, mask)))
    return (sum(mask[v][u] * cells[v, u] for v, u in cells) + total // 2) // total


def patterns(luma: Cells, count: int) -> list[int]:
    """Signed sums over the 4x4 grid, the signs from xorshift32."""
    found, state = [], 1
    for _ in range(count):
        signed = {}
        for at, value in luma.items():
            state ^= (state << 13) % 2**32
            state ^= state >> 17
            state ^= (state << 5) % 2**32
            signed[at] = -value if state >= 2**31 else value
        found += grid(signed, 4)
    return found


def plainly(pixels: Pixels, masks: Masks) -> bytes:
    """The specification read aloud, in loops over Python's integers."""
    luma, warmth, green, rough = reduced(pixels)
    kept = masks.tolist()[:8]
    bright = [inside(mask, luma) for mask in kept]
    contrast = [
        inside(mask, {at: abs(value - mean) for at, value in luma.items()})
        for mask, mean in zip(kept, bright, strict=True)
    ]
    parts = [
        (grid(luma, 6), 64, False),
        (patterns(luma, (64 - 4 * len(kept)) // 16), 4, True),
        (grid(rough, 2), 8, False),
        (grid(warmth, 2), 16, True),
        (grid(green, 2), 32, True),
        (bright, 64, False),
        ([inside(mask, warmth) for mask in kept], 8, True),
        ([inside(mask, green) for mask in kept], 16, True),
        (contrast, 32, False),
    ]
    return bytes(
        level % 256 if wraps else min(max(level, 0), 255)
        for values, step, wraps in parts
        for level in [(value + step // 2) // step for value in values]
    )


@pytest.mark.parametrize(
    ("height", "width", "count"), [(96, 96, 0), (192, 96, 1), (130, 101, 3), (40, 200, 9)]
)
def test_a_plain_reading_of_the_specification_gives_the_same_bytes(
    height: int, width: int, count: int
) -> None:
    pixels, masks = ramp(height, width), squares(count)
    assert fingerprint(pixels, masks) == plainly(pixels, masks)


def test_the_specification_s_vectors_hold() -> None:
    vectors = re.findall(r"\| (\d+) x (\d+) \| (\d) \| `([0-9a-f]+)` \|", SPECIFICATION.read_text())
    assert len(vectors) == 4
    for height, width, count, expected in vectors:
        made = fingerprint(ramp(int(height), int(width)), squares(int(count)))
        assert made.hex() == expected


@pytest.mark.parametrize("count", range(10))
def test_a_fingerprint_fits_its_place_in_the_record(count: int) -> None:
    assert len(fingerprint(ramp(96, 96), squares(count))) <= MAX_BYTES == 112


def test_the_approved_picture_matches(shoe: Pixels, masks: Masks, approved: bytes) -> None:
    found = compare(shoe, masks, approved)
    assert found.matches and found.distance < 0.5


@pytest.mark.parametrize("levels", [1, 2])
def test_arithmetic_drift_matches(shoe: Pixels, masks: Masks, approved: bytes, levels: int) -> None:
    rng = np.random.default_rng(levels)
    drifted = shoe + rng.integers(-levels, levels, shoe.shape, endpoint=True)
    assert compare(drifted.clip(0, 255).astype(np.uint8), masks, approved).matches


@pytest.mark.parametrize(("form", "quality"), [("jpeg", 91), ("webp", 96), ("avif", 83)])
def test_a_delivered_file_matches(
    shoe: Pixels, masks: Masks, approved: bytes, form: ImageFormat, quality: int
) -> None:
    delivered = decode(encode(shoe, Still(form, 768, quality)).data)
    assert compare(delivered, masks, approved).matches


def with_block(pixels: Pixels, level: int) -> Pixels:
    changed = pixels.copy()
    changed[360:424, 340:404] = level
    return changed


def with_noise(pixels: Pixels) -> Pixels:
    noise = np.random.default_rng(5).normal(0, 10.3, pixels.shape)
    return (pixels + noise).round().clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda p: p[:, ::-1], id="mirrored"),
        pytest.param(lambda p: p[::-1], id="upside down"),
        pytest.param(lambda p: np.roll(p, 4, axis=1), id="4 pixels right"),
        pytest.param(lambda p: np.roll(p, -4, axis=0), id="4 pixels up"),
        pytest.param(lambda p: with_block(p, 0), id="black block"),
        pytest.param(lambda p: np.concatenate([p[:-38], p[:38] * 0]), id="rows lost"),
        pytest.param(with_noise, id="noise"),
        pytest.param(lambda p: p[..., ::-1], id="channels swapped"),
        pytest.param(lambda p: np.maximum(p, 4) - 4, id="darker"),
    ],
)
def test_what_is_not_the_approved_picture_is_refused(
    shoe: Pixels, masks: Masks, approved: bytes, change: object
) -> None:
    assert callable(change)
    changed = np.ascontiguousarray(change(shoe))
    found = compare(changed, masks, approved)
    assert not found.matches and found.distance > 1.2 and found.worst != "none"


def test_another_asset_is_refused(masks: Masks, approved: bytes) -> None:
    other = decode((SAMPLE / "gallery/rumba_orange_rose_front.jpg").read_bytes())
    found = compare(other, masks, approved)
    assert not found.matches and found.worst.startswith("mask")


def test_a_slightly_wrong_colour_in_a_mask_is_refused(
    shoe: Pixels, masks: Masks, approved: bytes
) -> None:
    inside = np.repeat(np.repeat(masks[0] > 127, 8, axis=0), 8, axis=1)
    tinted = shoe.astype(int)
    tinted[inside] += (8, -4, -6)
    found = compare(tinted.clip(0, 255).astype(np.uint8), masks, approved)
    assert not found.matches and found.worst.startswith("mask")


def test_a_fingerprint_made_under_other_masks_never_matches(
    shoe: Pixels, masks: Masks, approved: bytes
) -> None:
    for count in (0, 2, 4, 5):
        found = compare(shoe, squares(count), approved)
        assert not found.matches
    assert not compare(shoe, masks, b"").matches


def test_an_empty_mask_is_harmless() -> None:
    empty = np.zeros((1, 96, 96), np.uint8)
    assert compare(ramp(96, 96), empty, fingerprint(ramp(96, 96), empty)).matches


@pytest.mark.parametrize(
    ("pixels", "masks"),
    [
        (np.zeros((96, 96), np.uint8), squares(0)),
        (np.zeros((96, 96, 4), np.uint8), squares(0)),
        (np.zeros((96, 96, 3), np.float32), squares(0)),
        (ramp(96, 96), np.zeros((1, 48, 48), np.uint8)),
    ],
)
def test_other_shapes_are_refused(pixels: Pixels, masks: Masks) -> None:
    with pytest.raises(InputError):
        fingerprint(pixels, masks)
