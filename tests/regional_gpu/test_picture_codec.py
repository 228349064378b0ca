"""Pictures to bytes: the same integers back, near their steps, and nothing from damaged bytes."""

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from kvsync.errors import InputError, ModelError
from regional_gpu.generator.entropy import LARGEST, Contexts, Reader, Writer
from regional_gpu.generator.picture_codec import ORDER, decode, decode_integers, encode


def _pictures(height: int = 40, width: int = 56) -> NDArray[np.float32]:
    random = np.random.default_rng(1)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    base = np.stack([120 + rows, 200 - columns, 90 + rows - columns], axis=-1)
    change = np.zeros_like(base)
    change[8:24, 8:30] = random.normal(scale=20, size=(16, 22, 3))
    return np.stack([base, change]).astype(np.float32)


def test_pictures_come_back_within_their_steps() -> None:
    pictures = _pictures()
    for step in (0.25, 1.0, 4.0):
        found = decode(encode(pictures, [step, step]))
        assert found.shape == pictures.shape
        assert np.sqrt(np.square(found - pictures).mean()) < 0.45 * step


def test_each_picture_has_a_step_of_its_own() -> None:
    pictures = _pictures()
    found = decode(encode(pictures, [0.1, 8.0]))
    fine, coarse = np.abs(found - pictures).reshape(2, -1).mean(axis=1)
    assert fine < 0.1 < coarse


def test_a_stream_is_read_as_the_same_integers_everywhere() -> None:
    pictures = np.arange(2 * 16 * 24 * 3, dtype=np.float32).reshape(2, 16, 24, 3) % 97
    stream = encode(pictures, [1.0, 1.0])
    numbers, steps, height, width = decode_integers(stream)
    assert (height, width) == (16, 24) and steps.tolist() == [1.0, 1.0]
    assert numbers.shape == (3, len(ORDER), 2, 2, 3)
    again = decode_integers(stream)[0]
    assert np.array_equal(numbers, again)


def test_v1_streams_never_change() -> None:
    values = np.array([0, 0, 1, -1, 3, 40, -700, 0, 2, 11, 12, -13] * 30)
    contexts = np.arange(len(values)) % 4
    writer = Writer(Contexts(np.array([1, 8, 64, 512])))
    writer.numbers(contexts, values)
    stream = writer.stream()
    assert hashlib.blake2b(stream, digest_size=8).hexdigest() == "a8ae0d8188a9e5a6"
    reader = Reader(Contexts(np.array([1, 8, 64, 512])), stream)
    assert np.array_equal(reader.numbers(contexts), values)
    reader.finish()


def test_numbers_cost_about_their_information() -> None:
    random = np.random.default_rng(0)
    values = np.rint(random.laplace(scale=2, size=20_000)).astype(np.int64)
    _, counts = np.unique(values, return_counts=True)
    share = counts / len(values)
    least = -(share * np.log2(share)).sum() * len(values) / 8
    writer = Writer(Contexts(np.array([32])))
    for part in np.split(values, 20):
        writer.numbers(np.zeros(len(part), np.int64), part)
    assert least < len(writer.stream()) < 1.06 * least


def test_what_does_not_vary_costs_next_to_nothing() -> None:
    still = np.zeros((8, 256, 256, 3), dtype=np.float32)
    assert len(encode(still, [0.5] * 8)) < 200


@pytest.mark.parametrize("at", [0, 3, 7, 60, 90, 140])
def test_damage_to_what_is_entropy_coded_is_noticed(at: int) -> None:
    stream = encode(_pictures(), [0.5, 0.5])
    stream[at] ^= 0x55
    with pytest.raises(ModelError):
        decode(stream)


@pytest.mark.parametrize("length", [0, 5, 40, -1])
def test_a_stream_cut_short_is_noticed(length: int) -> None:
    with pytest.raises(ModelError):
        decode(encode(_pictures(), [0.5, 0.5])[:length])


def test_more_than_a_stream_holds_is_refused() -> None:
    writer = Writer(Contexts(np.array([1])))
    with pytest.raises(InputError, match="larger steps"):
        writer.numbers(np.zeros(1, np.int64), np.array([LARGEST + 1]))
    with pytest.raises(InputError, match="2 pictures of 3 channels with 1 steps"):
        encode(_pictures(), [0.5])
