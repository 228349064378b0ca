"""On a CUDA device: the same noise bit for bit, and pictures that a CPU's approval accepts."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bench._pipelines import Kind, save_pipeline
from origin.gallery import read_gallery
from regional_gpu.generator.fingerprint import compare, fingerprint
from regional_gpu.generator.load import Generator, Job, load
from regional_gpu.generator.philox import normals, torch_normals
from regional_gpu.generator.runtime import read_runtime

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
SAMPLE = Path(__file__).parents[2] / "origin/samples/rumba"


def test_the_noise_is_the_same_bits() -> None:
    count = 10_000_000
    assert np.array_equal(torch_normals(7, 3, count, "cuda").cpu().numpy(), normals(7, 3, count))


def test_a_familys_pictures_match_what_was_approved_on_a_cpu() -> None:
    gallery = read_gallery(SAMPLE)
    prompts = [gallery.prompt(asset.attributes) for asset in gallery.assets[::9]]
    jobs = [Job(prompt, 0, gallery.width, gallery.height, 1, "Euler", 1.0) for prompt in prompts]
    here, there = load(SAMPLE / "model"), load(SAMPLE / "model", device="cuda")
    assert worst(here, there, jobs) <= 1


@pytest.mark.parametrize("kind", ["sd", "sd-turbo", "sdxl-turbo", "flux"])
def test_a_pipeline_draws_in_half_precision_what_it_draws_on_a_cpu(
    kind: Kind, tmp_path: Path
) -> None:
    folder = save_pipeline(kind, tmp_path / kind)
    jobs = [Job("a red shoe", seed, 256, 256, 1, "Euler", 1.0) for seed in range(4)]
    assert worst(load(folder), load(folder, device="cuda"), jobs) <= 1


def worst(here: Generator, there: Generator, jobs: list[Job]) -> float:
    """The largest distance of ``there``'s pictures to the fingerprints of ``here``'s."""
    distances = [0.0]
    for job, mine, other in zip(jobs, here.generate(jobs), there.generate(jobs), strict=True):
        masks = here.masks(job.prompt)
        distances.append(compare(other, masks, fingerprint(mine, masks)).distance)
    return max(distances)


def test_the_runtime_names_the_card_and_its_libraries() -> None:
    facts = dict(read_runtime("cuda").facts)
    assert {"gpu", "cuda", "cudnn", "tf32"} <= facts.keys()
