"""The drift bench: what is compared, and that a process of its own draws what this one does."""

from pathlib import Path

import numpy as np
import pytest

from bench._pipelines import save_pipeline
from bench._variants import Pixels, Recipe, Variant, draw
from bench.drift import Drift, compared, variants
from regional_gpu.generator.any_pipeline import PipelineGenerator
from regional_gpu.generator.load import Job, load

RECIPE = Recipe("a red shoe", 1, 64, 2, "Euler a", 1.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pipeline("sd", tmp_path_factory.mktemp("tiny") / "sd")


@pytest.fixture(scope="module")
def picture(folder: Path) -> Pixels:
    return load(folder).generate([Job("a red shoe", 1, 64, 64, 2, "Euler a", 1.0)])[0]


def drift(folder: Path, picture: Pixels, other: Pixels) -> Drift:
    generator = PipelineGenerator(folder, bytes(32))
    return compared("other", generator, [RECIPE], [picture], [other])


def test_equal_pictures_have_not_drifted(folder: Path, picture: Pixels) -> None:
    found = drift(folder, picture, picture.copy())
    assert (found.psnr_db, found.largest, found.changed) == (None, 0, 0.0)
    assert found.ssimulacra2 == 100 and found.accepted


def test_one_changed_value_is_counted_and_accepted(folder: Path, picture: Pixels) -> None:
    other = picture.copy()
    other[5, 5, 1] ^= 1
    found = drift(folder, picture, other)
    assert found.largest == 1 and found.changed > 0 and found.accepted
    assert found.psnr_db is not None and found.psnr_db > 80


def test_another_picture_is_not_accepted(folder: Path, picture: Pixels) -> None:
    assert not drift(folder, picture, np.full_like(picture, 128)).accepted


def test_everything_is_varied_one_thing_at_a_time() -> None:
    named = {one.name: one for one in variants()}
    assert {"batch 4", "ATen default", "oneDNN AVX2", "bfloat16", "float16"} <= set(named)
    assert named["bfloat16"].batch == 1 and named["batch 4"].dtype == "float32"


@pytest.mark.slow
def test_a_process_of_its_own_draws_the_same_bits(
    folder: Path, picture: Pixels, tmp_path: Path
) -> None:
    found = draw(folder, Variant("one thread"), [RECIPE], tmp_path / "out.npz")
    assert not isinstance(found, str) and np.abs(found[0].astype(int) - picture).max() <= 1


@pytest.mark.slow
def test_a_variant_that_cannot_be_drawn_says_why(folder: Path, tmp_path: Path) -> None:
    variant = Variant("no such device", device="cuda:99")
    assert isinstance(draw(folder, variant, [RECIPE], tmp_path / "out.npz"), str)
