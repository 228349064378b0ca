"""The hit list's bench: what it groups, what it compares, and that a long run goes on."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bench import analyse
from bench._corpus import CORPUS, DEVELOPMENT, INVENTORIES, drawings, lay_out
from bench._features import EDGES, Described, best_cut
from bench._resumed import Steps


def test_no_picture_is_in_two_inventories() -> None:
    met: dict[int, str] = {}
    for name in INVENTORIES:
        with zipfile.ZipFile(CORPUS / f"{name}.zip") as archive:
            labels = json.loads(archive.read("labels.json"))
            found = {archive.getinfo(path).CRC for path in labels}
        assert len(labels) > 300 and len(set(labels.values())) > 5
        assert not {one: met[one] for one in found if one in met}
        met |= dict.fromkeys(found, name)


@pytest.mark.parametrize("name", INVENTORIES)
def test_a_drawing_is_what_differs_in_nothing_but_colours(name: str, tmp_path: Path) -> None:
    labels = lay_out(name, tmp_path)  # type: ignore[arg-type]
    drawn = drawings(labels)
    for path, drawing in drawn.items():
        assert not drawing or drawing.startswith(labels[path])
    assert sum(map(bool, drawn.values())) > 100


def test_the_figure_is_of_the_one_inventory_that_nothing_is_chosen_by() -> None:
    (judge,) = set(INVENTORIES) - set(DEVELOPMENT)
    assert INVENTORIES[-1] == judge and list(analyse.IN_WORDS) == list(INVENTORIES)


def test_an_interrupted_scaling_goes_on(tmp_path: Path) -> None:
    steps = Steps(tmp_path / "analyse.json")
    steps.keep("1000", 0.5)
    found = analyse._scaling((1_000, 2_000), steps)
    assert found[1_000] == 0.5 and Steps(tmp_path / "analyse.json")["2000"] == found[2_000]


def test_the_exponent_is_the_slope_of_time_over_size() -> None:
    assert analyse.slope({10: 1.0, 100: 10.0, 1000: 100.0}) == pytest.approx(1.0)
    assert analyse.synthetic(100).any(axis=1).all() and analyse.synthetic(100).dtype == np.int8


def test_a_feature_that_tells_families_apart_groups_them_all() -> None:
    draw = np.random.default_rng(0)
    paths = tuple(f"{at:02}.webp" for at in range(24))
    labels = {path: "ab"[at % 2] if at < 20 else "" for at, path in enumerate(paths)}
    telling = draw.standard_normal((24, 8))
    telling[0:20:2], telling[1:20:2] = telling[0], telling[1]
    for features, least, most in ((telling, 1.0, 1.0), (draw.standard_normal((24, 8)), -1, 0.5)):
        units = (features / np.linalg.norm(features, axis=1)[:, None]).astype(np.float32)
        known = Described(paths, {EDGES: units}, {EDGES: 1.0}, labels, labels)
        found = best_cut(dict.fromkeys(DEVELOPMENT, known), (EDGES,))
        assert all(least <= score <= most for score in found.families.values())
