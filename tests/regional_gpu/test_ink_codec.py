"""Drawings in inks as bytes and back."""

import hashlib

import numpy as np
import pytest

from kvsync.errors import InputError, ModelError
from regional_gpu.generator.content_inks import mixed, pack_palettes, painted, unpack_palettes
from regional_gpu.generator.ink_codec import Drawing, decode, encode

CELLS, HEIGHT, WIDTH = 3, 20, 32


def _drawing() -> Drawing:
    """Squares in squares; along a border, shares of what lies left of it."""
    down, across = np.mgrid[:HEIGHT, :WIDTH]
    ring = np.minimum(np.minimum(down, HEIGHT - 1 - down), np.minimum(across, WIDTH - 1 - across))
    inks = np.stack([(ring // (2 + at)).clip(0, 3) for at in range(CELLS)]).astype(np.uint8)
    left = np.concatenate([inks[..., :1], inks[..., :-1]], axis=2)
    shares = np.where(left != inks, 1 + (down + across) % 7, 0).astype(np.uint8)
    return Drawing(inks, np.where(shares, left, inks).astype(np.uint8), shares, 16)


def test_a_drawing_comes_back_as_it_was() -> None:
    drawing = _drawing()
    back = decode(encode(drawing))
    assert back.levels == drawing.levels
    assert np.array_equal(back.inks, drawing.inks)
    assert np.array_equal(back.others, drawing.others)
    assert np.array_equal(back.shares, drawing.shares)


def test_a_stream_never_changes() -> None:
    digest = hashlib.blake2b(encode(_drawing()), digest_size=8).hexdigest()
    assert digest == "2a8db33702d0fea3"


def test_a_stream_that_was_cut_or_changed_is_refused() -> None:
    stream = encode(_drawing())
    for broken in (b"", stream[:12], stream[:-9], stream[:60] + b"\0\0" + stream[62:]):
        with pytest.raises(ModelError):
            decode(broken)


def test_shares_above_half_and_other_shapes_are_refused() -> None:
    drawing = _drawing()
    with pytest.raises(InputError):
        encode(Drawing(drawing.inks, drawing.others, drawing.shares + 9, 16))
    with pytest.raises(InputError):
        encode(Drawing(drawing.inks, drawing.others[:1], drawing.shares, 16))


def test_palettes_come_back_and_wrong_ones_are_refused() -> None:
    rng = np.random.default_rng(0)
    palettes = [rng.integers(0, 256, (count, 5)).astype(np.uint8) for count in (4, 7, 4)]
    stream = pack_palettes(palettes)
    for one, back in zip(palettes, unpack_palettes(stream, 3, 2), strict=True):
        assert np.array_equal(one, back)
    for cells, components in ((2, 2), (3, 1), (4, 2)):
        with pytest.raises(ModelError):
            unpack_palettes(stream, cells, components)
    with pytest.raises(ModelError):
        unpack_palettes(stream[:9], 3, 2)


def test_a_point_is_painted_as_the_mix_of_its_inks() -> None:
    drawing = _drawing()
    palette = np.arange(4 * 5, dtype=np.uint8).reshape(4, 5) * 12
    levels = mixed(drawing, 1, palette)
    part = drawing.shares[1][..., None] / drawing.levels
    wanted = palette[drawing.inks[1]] * (1 - part) + palette[drawing.others[1]] * part
    assert np.abs(levels - wanted).max() <= 0.5


def test_a_drawing_in_inks_that_its_palette_lacks_is_refused() -> None:
    stream = np.frombuffer(encode(_drawing()), np.uint8)
    few = pack_palettes([np.zeros((3, 5), np.uint8)] * CELLS)
    with pytest.raises(ModelError, match="inks"):
        painted(stream, few, (CELLS, HEIGHT, WIDTH), 2)
    with pytest.raises(ModelError, match="drawing"):
        painted(stream, few, (CELLS, WIDTH, HEIGHT), 2)
