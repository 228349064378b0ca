"""A feature network joins arrangements into kinds, at a distance that the inventory itself says."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from rich.console import Console
from transformers import ViTConfig

from origin.analysis.command import Wanted, analyse, find, read_list
from origin.analysis.families import Asset, find_families
from origin.analysis.kinds import kinds_of
from origin.analysis.store import Store
from tests.origin.analysis.test_families import layout
from tests.origin.analysis.test_network import SMALL, network_in
from tests.origin.analysis.test_survey import COLOURS, drawing


def seen_as(kind: int, noise: int) -> np.ndarray:
    """What a network says of a picture of a kind: nearly the same, in a direction of its own."""
    said = np.random.default_rng([5, kind]).standard_normal(64)
    said += 0.1 * np.random.default_rng([6, noise]).standard_normal(64)
    found: np.ndarray = np.rint(127 * said / np.abs(said).max()).astype(np.int8)
    return found


def pictures(kinds: int, arrangements: int, colours: int) -> list[Asset]:
    """Opaque names; pictures of a kind in several arrangements, each in several colours."""
    found: list[Asset] = []
    for kind in range(kinds):
        for arrangement in range(arrangements):
            for _ in range(colours):
                at = len(found)
                shape = layout(10 * kind + arrangement, at + 1)
                path = f"{at * 7919:012}.jpg"
                said = seen_as(kind, at)
                found.append(Asset("shop", path, path.encode(), 900, 96, 96, shape, said))
    return found


def test_arrangements_that_a_network_sees_as_one_kind_are_one_family() -> None:
    families = find_families(pictures(kinds=3, arrangements=2, colours=6))
    assert [len(one.members) for one in families] == [12, 12, 12]
    assert [len(set(one.arrangements)) for one in families] == [2, 2, 2]
    assert families[0].why == ("2 arrangements of one size, built alike; names say nothing",)


def test_without_a_network_other_arrangements_are_other_families() -> None:
    shown = pictures(kinds=3, arrangements=2, colours=6)
    unasked = [replace(one, embedding=np.empty(0, np.int8)) for one in shown]
    assert [len(one.members) for one in find_families(unasked)] == [6] * 6


def built_alike(count: int) -> np.ndarray:
    """Layouts that share a frame and differ within it, each a little from the one before."""
    frame = layout(1).astype(np.float32)
    found = np.stack([frame + 0.6 * layout(100 + at) for at in range(count)])
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    rounded: np.ndarray = np.rint(127 * found / lengths).astype(np.int8)
    return rounded


def kinds_found(shown: np.ndarray, side: list[int]) -> int:
    unasked, rows = np.empty((len(shown), 0), np.int8), np.arange(len(shown))
    return len(set(kinds_of(shown, unasked, [(one, one) for one in side], rows).tolist()))


def test_pictures_that_share_a_frame_are_of_one_kind_if_they_are_of_one_size() -> None:
    shown = built_alike(12)
    assert kinds_found(shown, [96] * 12) == 1
    assert kinds_found(shown, [96, 64] * 6) == 2
    strangers = np.stack([layout(200 + at) for at in range(12)])
    assert kinds_found(strangers, [96] * 12) == 12


def test_more_than_a_block_of_them_are_found_as_well() -> None:
    assert kinds_found(built_alike(700), [96] * 700) <= 7


def test_a_chain_of_likenesses_is_not_one_kind() -> None:
    marks = [layout(at).astype(np.float32) for at in range(5)]
    steps = np.linspace(0, 1, 20, endpoint=False)
    chain = [(1 - step) * one + step * other for one, other in pairwise(marks) for step in steps]
    shown = np.rint(np.stack(chain)).astype(np.int8)
    neighbours = 1 - cosines(shown).diagonal(1)
    assert neighbours.max() < 0.05 and kinds_found(shown, [96] * len(shown)) > 1


def cosines(shown: np.ndarray) -> np.ndarray:
    units = shown / np.linalg.norm(shown.astype(np.float32), axis=1, keepdims=True)
    found: np.ndarray = units @ units.T
    return found


def test_a_network_is_asked_once_of_each_content(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    for shape in range(5):
        for colour in COLOURS:
            drawing(shape, colour).save(shop / f"{shape}{colour}.png")
    network = network_in(tmp_path / "network", ViTConfig(**SMALL))
    into = tmp_path / "into"
    wanted = Wanted(places={"shop": str(shop)}, network=network, workers=1)
    analyse(wanted, into, Console(quiet=True))
    name = read_list(into).network
    with Store(into / "inventory.db") as store:
        assert store.not_embedded("shop", name) == []
        assert len(store.not_embedded("shop", "another")) == 25
        assert all(len(seen.embedding) == 32 for seen in store.seen("shop", name))
        assert all(seen.embedding == b"" for seen in store.seen("shop"))
    for hit in read_list(into).hits:
        assert len(find(into, hit.id)[0].members) == hit.images
