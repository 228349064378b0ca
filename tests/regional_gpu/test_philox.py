"""Noise is the same bits everywhere, and is normal."""

import hashlib
import os
import subprocess
import sys
from statistics import NormalDist

import numpy as np
import pytest

from kvsync.errors import InputError
from regional_gpu.generator.philox import (
    TABLE_DIGEST,
    bits,
    normal_quantiles,
    normals,
    philox,
    torch_normals,
)

# Known answers of the Random123 distribution (kat_vectors, philox 4x32 10).
KNOWN = [
    (
        (0, 0, 0, 0),
        (0, 0),
        (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
    ),
    (
        (0xFFFFFFFF,) * 4,
        (0xFFFFFFFF,) * 2,
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_philox_gives_the_known_answers(
    counter: tuple[int, ...], key: tuple[int, int], expected: tuple[int, ...]
) -> None:
    words = philox(np.array(counter, dtype=np.uint64).reshape(4, 1), key)
    assert tuple(int(word) for word in words[:, 0]) == expected


def test_elements_never_change() -> None:
    drawn = bits(1985738629, 3, 12)
    assert drawn.tobytes().hex() == "01ae20e8b5b2ee929ecf48d195a0118ae490b3c6bbbf41b7"


def test_the_first_element_is_the_low_half_of_the_first_word() -> None:
    assert [int(value) for value in bits(0, 0, 2)] == [0xE8D5, 0x6627]


def test_any_slice_is_the_same_stream() -> None:
    whole = normals(7, 1, 1000)
    assert np.array_equal(normals(7, 1, 101, first=533), whole[533:634])


def test_seeds_and_steps_give_streams_of_their_own() -> None:
    streams = [normals(seed, step, 64).tobytes() for seed in (0, 1, 1 << 32) for step in (0, 1)]
    assert len(set(streams)) == 6


def test_normals_are_normal() -> None:
    drawn = normals(42, 0, 200_000)
    assert abs(drawn.mean()) < 0.01 and abs(drawn.std() - 1) < 0.01


def test_the_table_is_the_normal_quantiles_to_the_last_bit_or_its_neighbour() -> None:
    normal = NormalDist()
    exact = np.array([normal.inv_cdf((i + 0.5) / 65536) for i in range(65536)])
    table = normal_quantiles()
    assert np.all(np.abs(table - exact) <= np.spacing(np.abs(table)))
    assert np.array_equal(table, -table[::-1])


def test_torch_and_numpy_agree_bit_for_bit() -> None:
    for seed, step in ((0, 0), (1985738629, 2), ((1 << 64) - 1, (1 << 32) - 1)):
        ours = torch_normals(seed, step, 100_003).numpy()
        assert ours.tobytes() == normals(seed, step, 100_003).tobytes()


@pytest.mark.slow
def test_ten_million_values_agree_bit_for_bit() -> None:
    count = 10_000_000
    assert torch_normals(99, 0, count).numpy().tobytes() == normals(99, 0, count).tobytes()


@pytest.mark.slow
def test_numpy_without_simd_gives_the_same_bits() -> None:
    script = (
        "import hashlib; from regional_gpu.generator.philox import normals;"
        "print(hashlib.sha256(normals(5, 0, 10_000_000).tobytes()).hexdigest())"
    )
    features = "AVX2 FMA3 AVX512F AVX512_SKX X86_V3 X86_V4"
    env = os.environ | {"NPY_DISABLE_CPU_FEATURES": features}
    printed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    expected = hashlib.sha256(normals(5, 0, 10_000_000).tobytes()).hexdigest()
    assert printed.stdout.strip() == expected


def test_the_table_carries_its_golden_digest() -> None:
    content = normal_quantiles().tobytes()
    assert hashlib.blake2b(content, digest_size=32).hexdigest() == TABLE_DIGEST


@pytest.mark.parametrize(("seed", "step"), [(-1, 0), (1 << 64, 0), (0, -1), (0, 1 << 32)])
def test_a_seed_or_step_out_of_range_is_refused(seed: int, step: int) -> None:
    with pytest.raises(InputError, match="whole number"):
        bits(seed, step, 1)
