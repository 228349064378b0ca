"""Noise that is the same bits everywhere: Philox4x32-10 integers, normals by table look-up.

Philox (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) is pure 32-bit
integer arithmetic, so every platform agrees on it. ``log`` and ``cos`` are not portable, so
normals come from a committed table: 16 bits pick one of 65 536 float32 quantiles.

Element ``e`` of step ``s`` under seed ``k`` is read from the block with key ``(k low, k high)``
and counter ``(e // 8 low, e // 8 high, s, 0)``; half ``e % 8`` of its four words, low half first.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kvsync.errors import InputError, ModelError

if TYPE_CHECKING:
    import torch

TABLE = Path(__file__).with_name("normal_quantiles.f32")
TABLE_DIGEST = "be74d49138066829784208ffacbf4cb96f41c1d2d00623bfb6cd45d7d8bde7be"

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
MASK = 0xFFFFFFFF


@cache
def normal_quantiles() -> NDArray[np.float32]:
    """The 65 536 float32 normal quantiles at (i + 1/2) / 65 536, read-only.

    Raises ModelError when the table on disk is not the one that records were made with.
    """
    content = TABLE.read_bytes()
    if hashlib.blake2b(content, digest_size=32).hexdigest() != TABLE_DIGEST:
        raise ModelError(f"{TABLE}: the table of normals is damaged; restore it from the release")
    return np.frombuffer(content, dtype="<f4")


def philox(
    counter: NDArray[np.uint64], key: tuple[int, int], rounds: int = ROUNDS
) -> NDArray[np.uint64]:
    """Philox4x32 of ``counter``, (4, n) words below 2**32; returns (4, n) words below 2**32."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(rounds):
        product0 = c0 * np.uint64(MULTIPLIERS[0])
        product1 = c2 * np.uint64(MULTIPLIERS[1])
        c0 = (product1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0)
        c2 = (product0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1)
        c1 = product1 & np.uint64(MASK)
        c3 = product0 & np.uint64(MASK)
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK
    return np.stack([c0, c1, c2, c3])


def bits(seed: int, step: int, count: int, first: int = 0) -> NDArray[np.uint16]:
    """16 random bits for each of ``count`` elements from element ``first`` on, (count,)."""
    key = _key(seed, step)
    block = first // 8
    blocks = np.arange(block, -(-(first + count) // 8), dtype=np.uint64)
    counter = np.zeros((4, blocks.size), dtype=np.uint64)
    counter[0], counter[1], counter[2] = blocks & np.uint64(MASK), blocks >> np.uint64(32), step
    words = philox(counter, key).T.astype("<u4")
    halves = words.copy(order="C").view("<u2").reshape(-1)
    return halves[first - 8 * block :][:count]


def normals(seed: int, step: int, count: int, first: int = 0) -> NDArray[np.float32]:
    """``count`` standard normals, float32, (count,); the same bits on every platform."""
    values: NDArray[np.float32] = normal_quantiles()[bits(seed, step, count, first)]
    return values


def torch_normals(
    seed: int, step: int, count: int, device: "torch.device | str" = "cpu"
) -> "torch.Tensor":
    """What `normals` gives, computed on ``device``; bit for bit equal, (count,) float32."""
    import torch

    key = _key(seed, step)
    blocks = torch.arange(-(-count // 8), dtype=torch.int64, device=device)
    words = _torch_philox(
        (blocks & MASK, blocks >> 32, torch.full_like(blocks, step), torch.zeros_like(blocks)), key
    )
    halves = torch.stack([half for word in words for half in (word & 0xFFFF, word >> 16)], dim=1)
    table = torch.from_numpy(normal_quantiles().copy()).to(device)
    return table[halves.reshape(-1)[:count]]


def _torch_philox(
    counter: "tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]", key: tuple[int, int]
) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]":
    # Products of 32-bit words wrap in int64; their 64 bits are right all the same, and the
    # arithmetic shift's sign bits are masked away.
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        product0, product1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c2 = ((product1 >> 32) & MASK) ^ c1 ^ k0, ((product0 >> 32) & MASK) ^ c3 ^ k1
        c1, c3 = product1 & MASK, product0 & MASK
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK
    return c0, c1, c2, c3


def _key(seed: int, step: int) -> tuple[int, int]:
    if not 0 <= seed < 1 << 64:
        raise InputError(f"seed {seed}: a seed is a whole number from 0 to 2**64 - 1")
    if not 0 <= step < 1 << 32:
        raise InputError(f"step {step}: a step is a whole number from 0 to 2**32 - 1")
    return seed & MASK, seed >> 32
