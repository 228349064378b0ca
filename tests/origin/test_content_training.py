"""Training finds which attributes change what is shown, and draws what the gallery lacks."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kvsync.errors import InputError
from origin.gallery import Gallery, read_gallery
from origin.training import TrainingReport, train
from origin.training.colour_table import Points, Table, learn
from origin.training.content_report import content_report
from origin.training.moving_colours import drawn, moving_series
from origin.try_measure import measure
from regional_gpu.generator.load import Generator, Job, load
from tests.origin.signs import PAINTS, SHAPES, SIDE, picture, write_gallery


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    return read_gallery(write_gallery(tmp_path_factory.mktemp("signs")))


@pytest.fixture(scope="module")
def shaded(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    return read_gallery(write_gallery(tmp_path_factory.mktemp("shaded"), shaded=True))


@pytest.fixture(scope="module")
def trained(gallery: Gallery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models") / "signs"


@pytest.fixture(scope="module")
def report(gallery: Gallery, trained: Path) -> TrainingReport:
    return train(gallery, trained, progress=lambda doing, done: None)


@pytest.fixture(scope="module")
def generator(report: TrainingReport, trained: Path) -> Generator:
    return load(trained, expect=report.digest)


def _draw(generator: Generator, prompt: str, seed: int = 0) -> NDArray[np.uint8]:
    return generator.generate([Job(prompt, seed, SIDE, SIDE, 1, "Euler", 1.0)])[0]


def _error(drawn: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> float:
    return float(np.sqrt(np.square(drawn.astype(float) - wanted).mean()))


def test_what_changes_the_content_is_found_by_measuring(report: TrainingReport) -> None:
    assert report.content
    assert report.content.content.by == ("shape",)
    assert report.content.looks_by == ("paint",)
    assert report.layouts == len(SHAPES)


def test_drawings_come_back_also_those_that_were_never_seen(generator: Generator) -> None:
    for shape in SHAPES:
        for paint in PAINTS:
            drawn = _draw(generator, f"{paint} paint, {shape} shape")
            assert _error(drawn, picture(shape, paint)) < 3, (shape, paint)


def test_flat_drawings_are_kept_in_inks(report: TrainingReport) -> None:
    assert report.content and report.content.chosen.way.startswith("in inks")


def test_a_trial_may_cost_what_the_whole_family_may(
    gallery: Gallery, report: TrainingReport, tmp_path: Path
) -> None:
    trial = measure(gallery, tmp_path, lambda doing, done: None)
    assert trial.trained_on < len(gallery.assets)
    assert report.content and trial.report.content
    assert trial.report.content.gallery_webp_bytes == report.content.gallery_webp_bytes


@pytest.mark.slow
def test_what_shades_is_kept_as_pictures(shaded: Gallery, tmp_path: Path) -> None:
    report = train(shaded, tmp_path / "model", progress=lambda doing, done: None)
    assert report.content and report.content.chosen.way.startswith("as pictures")
    generator = load(tmp_path / "model")
    for shape in SHAPES:
        for paint in PAINTS:
            drawn = _draw(generator, f"{paint} paint, {shape} shape")
            assert _error(drawn, picture(shape, paint, shaded=True)) < 15, (shape, paint)


def test_the_model_lies_within_its_share_where_drawings_outweigh_its_fixed_files(
    report: TrainingReport, trained: Path
) -> None:
    pictures = (trained / "decoder" / "diffusion_pytorch_model.safetensors").stat().st_size
    assert report.content and pictures < 0.5 * report.content.gallery_webp_bytes


def test_the_report_says_what_was_measured_and_chosen(report: TrainingReport) -> None:
    assert report.content
    text = content_report(report.content)
    assert "shape changes what is shown: 6 cells" in text
    assert "chosen: " in text


def test_a_cell_that_was_never_seen_is_refused(generator: Generator) -> None:
    with pytest.raises(InputError, match="never saw"):
        _draw(generator, "red paint, star shape")


def test_masks_show_where_colour_moves(generator: Generator) -> None:
    shape, paint = generator.masks("red paint, bar shape")
    assert not shape.any()
    assert paint[40, 20] == 255 and paint[2, 2] == 0


def test_a_point_known_in_some_looks_is_foretold_from_its_like_in_other_cells() -> None:
    skin = np.array([[90, 60, 50], [150, 110, 90], [240, 200, 180]], dtype=float)
    cloth = np.array([[20, 30, 90]] * 3, dtype=float)
    hair = np.array([[10, 10, 10], [120, 60, 20], [30, 20, 20]], dtype=float)
    whole = Points((0, 1, 2), np.stack([skin, cloth, hair, (skin + cloth) / 2]))
    partial = Points((0, 1), np.stack([hair, skin])[:, :2])
    table = Table(learn([whole, partial], 3), [whole, partial])
    assert np.abs(table.filled(partial)[:, 2] - [hair[2], skin[2]]).max() < 3


def test_blends_of_two_moving_colours_lie_in_two_planes() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(0, 60, (2, 4, 3))
    share = rng.choice([0.0, 0.3, 1.0], (400, 2))
    tables = 128 + np.einsum("ps,slc->plc", share, np.stack([one, other]))
    series = moving_series(tables, np.eye(4), 2)
    made = drawn(tables, series)
    back = made.base[:, None] + np.einsum("ps,slc->plc", made.planes, series)
    assert np.abs(back - tables).mean() < 3
