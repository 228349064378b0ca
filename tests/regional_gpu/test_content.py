"""A content model's stacks, and how its cells are drawn."""

import numpy as np
import pytest
import torch

from kvsync.errors import ModelError
from regional_gpu.generator.content_network import ZERO, ContentNetwork
from regional_gpu.generator.content_pictures import pack, unpack

HEIGHT, WIDTH = 16, 24


def _network() -> ContentNetwork:
    bases = np.full((2, HEIGHT, WIDTH, 3), 100, np.uint8)
    bases[1] = 50
    planes = np.full((2, HEIGHT, WIDTH), ZERO, np.uint8)
    planes[1, :, : WIDTH // 2] = ZERO + 100
    streams = [pack(bases, 100), pack(planes, 100)]
    network = ContentNetwork(WIDTH, HEIGHT, 1, [(2, *map(len, streams))])
    network.pictures.copy_(torch.from_numpy(np.concatenate(streams)))
    return network


def test_planes_come_back_in_whole_numbers() -> None:
    planes = np.arange(2 * HEIGHT * WIDTH, dtype=np.uint8).reshape(2, HEIGHT, WIDTH) // 32 * 32
    stream = pack(planes, 90)
    first, second = (unpack(stream, planes.shape) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.abs(first.astype(int) - planes).max() < 16


def test_a_cell_is_its_base_moved_by_its_planes() -> None:
    drawn = _network()(torch.tensor([[0.5, 0.0, -0.25]]), 1)[0].numpy()
    assert np.abs(drawn[:, :8].astype(int) - [100, 50, 25]).max() <= 3
    assert np.abs(drawn[:, -8:].astype(int) - 50).max() <= 3


def test_a_batch_is_drawn_as_one_by_one() -> None:
    codes = torch.tensor([[0.5, 0.0, -0.25], [0.1, 0.9, 0.3]])
    network = _network()
    together = network(codes, 1)
    assert torch.equal(together, torch.cat([network(one[None], 1) for one in codes]))


def test_masks_cover_what_moves() -> None:
    (mask,) = _network().masks(1, np.array([[1.0]], np.float32))
    assert mask[:, :40].min() == 255 and not mask[:, 56:].any()


@pytest.mark.parametrize("stacks", [[], [(0, 1, 1)], [(1, 0, 1)], [(1, 1)]])
def test_sizes_that_are_no_decoders_are_refused(stacks: list[tuple[int, ...]]) -> None:
    with pytest.raises(ModelError):
        ContentNetwork(WIDTH, HEIGHT, 1, stacks)


def test_a_damaged_or_wrong_stack_is_refused() -> None:
    stream = pack(np.zeros((2, HEIGHT, WIDTH, 3), np.uint8), 50)
    with pytest.raises(ModelError, match="stack"):
        unpack(stream[:40], (2, HEIGHT, WIDTH, 3))
    with pytest.raises(ModelError, match="stack"):
        unpack(stream, (3, HEIGHT, WIDTH, 3))


def test_a_layout_that_is_not_there_is_refused() -> None:
    with pytest.raises(ModelError, match="no layout"):
        _network().cell(2)
