"""Any pipeline of diffusers' own loads through the same door: tiny ones of the true classes."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from bench._pipelines import Kind, save_pipeline
from kvsync.errors import InputError, ModelError
from regional_gpu.generator.any_pipeline import PipelineGenerator
from regional_gpu.generator.load import Generator, Job, load
from regional_gpu.generator.noise import PhiloxNoise
from regional_gpu.generator.philox import normals

# As recipes of these families are written: docs/generator.md.
RECIPES: dict[Kind, tuple[int, str, float]] = {
    "sd": (2, "DDIM", 2.0),
    "sd-turbo": (1, "Euler", 1.0),
    "sdxl-turbo": (2, "Euler a", 1.0),
    "flux": (2, "Euler", 3.5),
}


@pytest.fixture(scope="module", params=RECIPES)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Path]:
    """Each kind's folder, written once."""
    return {kind: save_pipeline(kind, tmp_path_factory.mktemp("tiny") / kind) for kind in RECIPES}


@pytest.fixture(scope="module")
def generators(folders: dict[Kind, Path]) -> dict[Kind, Generator]:
    return {kind: load(folder) for kind, folder in folders.items()}


@pytest.fixture
def generator(generators: dict[Kind, Generator], kind: Kind) -> Generator:
    return generators[kind]


@pytest.fixture
def folder(folders: dict[Kind, Path]) -> Path:
    return folders["sd"]


@pytest.fixture
def sd(generators: dict[Kind, Generator]) -> Generator:
    return generators["sd"]


def job(kind: Kind, seed: int = 0, *, prompt: str = "a red shoe", size: int = 32) -> Job:
    steps, sampler, guidance = RECIPES[kind]
    return Job(prompt, seed, size, size, steps, sampler, guidance)


def test_it_makes_a_picture_of_the_size_asked_for(generator: Generator, kind: Kind) -> None:
    (picture,) = generator.generate([job(kind)])
    assert picture.shape == (32, 32, 3) and picture.dtype == np.uint8 and picture.std() > 1


def test_one_recipe_makes_one_picture_alone_or_among_others(
    generator: Generator, kind: Kind
) -> None:
    first, other, again = generator.generate([job(kind), job(kind, 1), job(kind)])
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_the_frameworks_own_randomness_has_no_say(generator: Generator, kind: Kind) -> None:
    torch.manual_seed(1)
    (first,) = generator.generate([job(kind)])
    torch.manual_seed(2)
    (second,) = generator.generate([job(kind)])
    assert np.array_equal(first, second)


def test_another_prompt_makes_another_picture(generator: Generator, kind: Kind) -> None:
    first, other = generator.generate([job(kind), job(kind, prompt="a blue hat")])
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("sampler", ["euler", "DPM++ 2M", "Euler a", "LCM", "DDIM"])
def test_samplers_that_draw_at_every_step_draw_from_the_seed(sd: Generator, sampler: str) -> None:
    jobs = [Job("a red shoe", seed, 32, 32, 4, sampler, 1.0) for seed in (0, 1)]
    torch.manual_seed(3)
    first, other = sd.generate(jobs)
    torch.manual_seed(4)
    assert np.array_equal(first, sd.generate(jobs)[0]) and not np.array_equal(first, other)


def drawn(seeds: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    with PhiloxNoise(seeds):
        return torch.randn(len(seeds), 4, 3), torch.randn_like(torch.zeros(len(seeds), 4, 3))


def test_the_nth_draw_is_step_n_of_each_rows_own_seed() -> None:
    first, second = drawn([7, 8])
    for step, found in enumerate((first, second)):
        for row, seed in enumerate((7, 8)):
            assert np.array_equal(found[row].ravel().numpy(), normals(seed, step, 12))
    assert torch.equal(drawn([8])[1][0], second[1])


def test_noise_that_nobody_can_repeat_is_refused() -> None:
    with PhiloxNoise([1]), pytest.raises(ModelError, match="draws by rand"):
        torch.rand(3)
    with PhiloxNoise([1]), pytest.raises(ModelError, match="for 1 seeds"):
        torch.randn(2, 3)
    assert torch.randn(2).shape == (2,)


def test_a_prompt_is_encoded_once(folder: Path) -> None:
    generator = PipelineGenerator(folder, bytes(32))
    generator.generate([job("sd"), job("sd", 1), job("sd", prompt="a blue hat")])
    generator.generate([job("sd", 2)])
    assert generator._prompts.encoded == 2
    generator._prompts._max_bytes = 0
    generator.generate([job("sd", prompt="a hat")])
    assert len(generator._prompts._held) == 1


def test_it_has_no_masks_and_knows_its_size(generator: Generator) -> None:
    assert generator.masks("anything").shape == (0, 96, 96)
    assert generator.size_bytes > 10_000


def test_an_unknown_sampler_or_an_odd_size_is_refused(
    generators: dict[Kind, Generator], sd: Generator
) -> None:
    with pytest.raises(InputError, match="sampler 'Heun'"):
        sd.generate([Job("a red shoe", 0, 32, 32, 2, "Heun", 1.0)])
    with pytest.raises(InputError, match="not a multiple of 2"):
        sd.generate([job("sd", size=33)])
    with pytest.raises(InputError, match="not a multiple of 4"):
        generators["flux"].generate([job("flux", size=34)])


def test_a_flows_model_takes_no_sampler_of_another_kind(
    generators: dict[Kind, Generator],
) -> None:
    with pytest.raises(InputError, match="does not fit this model"):
        generators["flux"].generate([Job("a red shoe", 0, 32, 32, 2, "DDIM", 1.0)])


def test_a_component_that_is_not_there_is_named(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    shutil.rmtree(copy / "vae")
    with pytest.raises(ModelError, match="vae: missing"):
        load(copy)


def test_weights_that_are_not_there_are_one_clear_line(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    (copy / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(copy)
