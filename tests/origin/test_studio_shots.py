"""Shots that differ in pose and light: found to be such, brought together, fitted one by one."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kvsync.errors import InputError
from kvsync.record import FittedRecipe
from origin.dehydrate import Effort, fit
from origin.gallery import Gallery, read_gallery
from origin.training import TrainingReport, train
from origin.training.payload_fit import fit_payload
from origin.training.posed_flow import add_denoiser, tied
from origin.try_measure import measure
from regional_gpu.generator.load import Job, load
from regional_gpu.generator.payload import pack, unpack
from regional_gpu.generator.posed_generator import PosedGenerator
from regional_gpu.generator.score import psnr
from tests.origin.studio import SIDE, Taken, shot, write_gallery

PROMPT = "red coat, cream trim"


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    return read_gallery(write_gallery(tmp_path_factory.mktemp("studio") / "gallery"))


@pytest.fixture(scope="module")
def trained(
    gallery: Gallery, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainingReport, Path]:
    folder = tmp_path_factory.mktemp("models") / "studio"
    return train(gallery, folder, progress=lambda doing, done: None), folder


@pytest.fixture(scope="module")
def generator(trained: tuple[TrainingReport, Path]) -> PosedGenerator:
    loaded = load(trained[1])
    assert isinstance(loaded, PosedGenerator)
    return loaded


def job(prompt: str = PROMPT, seed: int = 0, payload: bytes = b"") -> Job:
    return Job(prompt, seed, SIDE, SIDE, 1, "Euler", 1.0, payload)


def draw(generator: PosedGenerator, one: Job) -> NDArray[np.uint8]:
    return generator.generate([one])[0]


def test_training_says_how_the_shots_differ(trained: tuple[TrainingReport, Path]) -> None:
    taken = trained[0].taken
    assert taken is not None
    assert 0.8 < taken.shift < 4 and 0.005 < taken.zoom < 0.05 and 0.3 < taken.turn < 3
    assert 0.01 < taken.light < 0.1 and taken.explained > 0.95


def test_every_shot_comes_back_from_its_prompt_and_payload(
    gallery: Gallery, generator: PosedGenerator
) -> None:
    for asset in gallery.assets:
        reference, prompt = gallery.pixels(asset), gallery.prompt(asset.attributes)
        drawn = draw(generator, job(prompt, payload=fit_payload(generator, prompt, reference)))
        assert psnr(reference, drawn) > 28, asset.file


def test_a_shot_that_training_never_saw_is_fitted_as_well(generator: PosedGenerator) -> None:
    reference = shot("red", "cream", Taken(right=1.5, down=-1, turn=0.015, slope=0.04))
    drawn = draw(generator, job(payload=fit_payload(generator, PROMPT, reference)))
    assert psnr(reference, drawn) > 28


def test_a_first_trial_draws_each_shot_as_its_record_would(
    gallery: Gallery, tmp_path: Path
) -> None:
    trial = measure(gallery, tmp_path, lambda doing, done: None)
    assert 40 < trial.payload_bytes <= 64
    # By the prompt alone, -24: eight small shots teach little, but where each was taken is found.
    assert (trial.median(unseen=False) or 0) > 30


def test_dehydrating_proposes_a_fitted_recipe(generator: PosedGenerator) -> None:
    reference = shot("red", "cream", Taken(right=1.5))
    found = fit(generator, "/red.png", PROMPT, reference, Effort(min_score=0))
    assert isinstance(found.recipe, FittedRecipe) and found.state == "proposed"
    assert psnr(reference, draw(generator, Job.of(found.recipe))) == pytest.approx(found.psnr)


def test_a_seed_draws_another_shot_of_the_same_thing(generator: PosedGenerator) -> None:
    first, again, other = (draw(generator, job(seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 1


def test_the_pipeline_of_diffusers_draws_the_same(
    trained: tuple[TrainingReport, Path], generator: PosedGenerator
) -> None:
    from regional_gpu.generator.posed_family import PosedPipeline

    pipeline = PosedPipeline.from_pretrained(trained[1])
    drawn = np.asarray(pipeline(PROMPT, seed=5).images[0])
    assert np.array_equal(drawn, draw(generator, job(seed=5)))


@pytest.fixture(scope="module")
def by_seed(
    gallery: Gallery, trained: tuple[TrainingReport, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("flows") / "studio"
    shutil.copytree(trained[1], folder)
    flow = add_denoiser(gallery, folder, lambda doing, done: None, seed=0)
    assert flow.error < 0.05
    return folder


@pytest.mark.slow
def test_diffusers_own_denoiser_finds_every_shot_among_64_seeds(
    gallery: Gallery, by_seed: Path
) -> None:
    generator = load(by_seed)
    for asset in gallery.assets:
        prompt, reference = gallery.prompt(asset.attributes), gallery.pixels(asset)
        drawn = generator.generate([replace(job(prompt, seed), steps=4) for seed in range(64)])
        scores = sorted(psnr(reference, picture) for picture in drawn)
        assert scores[-1] > 28 and scores[-1] > scores[32] + 5, asset.file


@pytest.mark.slow
def test_a_prompt_and_a_seed_without_a_shot_draw_one_like_the_gallerys(by_seed: Path) -> None:
    red, again, other, teal = load(by_seed).generate(
        [
            replace(job(prompt, seed), steps=4)
            for prompt, seed in (
                (PROMPT, 90),
                (PROMPT, 90),
                (PROMPT, 91),
                ("teal coat, cream trim", 90),
            )
        ]
    )
    assert np.array_equal(red, again) and np.abs(red.astype(int) - other).mean() > 1
    middle = slice(SIDE // 3, SIDE // 2)
    assert red[middle, middle, 0].mean() > red[middle, middle, 2].mean() + 40
    assert teal[middle, middle, 2].mean() > teal[middle, middle, 0].mean() + 40


@pytest.mark.slow
def test_shots_drawn_side_by_side_are_those_drawn_one_by_one(by_seed: Path) -> None:
    generator = load(by_seed)
    jobs = [replace(job(seed=seed), steps=4) for seed in range(16)]
    alone = generator.generate(jobs)
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(lambda one: generator.generate([one])[0], jobs)
    assert all(np.array_equal(*pair) for pair in zip(alone, together, strict=True))


@pytest.mark.slow
def test_a_flow_takes_four_steps_and_no_payload(by_seed: Path) -> None:
    generator = load(by_seed)
    with pytest.raises(InputError, match="1 to 4 steps of Euler"):
        generator.generate([replace(job(), steps=5)])
    with pytest.raises(InputError, match="takes none"):
        generator.generate([replace(job(payload=b"\x01"), steps=4)])


@pytest.mark.slow
def test_a_flow_opens_through_diffusers_too(by_seed: Path) -> None:
    from regional_gpu.generator.posed_flow import PosedFlowPipeline

    pipeline = PosedFlowPipeline.from_pretrained(by_seed)
    assert type(pipeline.denoiser).__module__.startswith("diffusers.")
    assert type(pipeline.scheduler).__module__.startswith("diffusers.")
    (drawn,) = load(by_seed).generate([replace(job(seed=5), steps=2)])
    opened = pipeline(PROMPT, 5, num_inference_steps=2).images[0]
    assert np.array_equal(np.asarray(opened), drawn)
    with pytest.raises(InputError, match="5 steps"):
        pipeline(PROMPT, num_inference_steps=5)


def test_shots_of_one_prompt_are_tied_to_seeds_of_their_own(
    gallery: Gallery, generator: PosedGenerator
) -> None:
    twice = replace(gallery, assets=(gallery.assets[0], gallery.assets[0]))
    ties = tied(twice, generator, lambda doing, done: None)
    assert np.array_equal(ties.latents[0], ties.latents[1])
    assert not np.array_equal(ties.noise[0], ties.noise[1])


def test_seeds_have_nothing_to_find_where_images_are_no_shots(tmp_path: Path) -> None:
    folder = write_gallery(tmp_path / "gallery", still=True)
    with pytest.raises(InputError, match="train without --by-seed"):
        train(
            read_gallery(folder), tmp_path / "out", progress=lambda doing, done: None, by_seed=True
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("payload", [b"\x01", b"\x01" + bytes(10), b"\x02" + bytes(54)])
def test_another_models_payload_is_refused(generator: PosedGenerator, payload: bytes) -> None:
    with pytest.raises(InputError, match="fit the asset again"):
        draw(generator, job(payload=payload))


def test_a_payload_holds_latents_to_a_thousandth_of_their_spread() -> None:
    latents = np.random.default_rng(0).standard_normal(21).astype(np.float32)
    assert np.abs(unpack(pack(latents), 21) - latents).max() <= 0.5 / 1024
    assert unpack(pack(np.full(1, 99, np.float32)), 1)[0] == pytest.approx(32, abs=0.01)
