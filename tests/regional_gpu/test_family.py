"""The shipped Rumba model: one folder, two doors, the same pixels."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kvsync.errors import InputError, ModelError
from regional_gpu.generator.load import Generator, Job, load
from regional_gpu.generator.model_folder import describe

SAMPLE = Path(__file__).parents[2] / "origin" / "samples" / "rumba"
MODEL = SAMPLE / "model"


def _job(prompt: str, seed: int = 0, **changes: object) -> Job:
    settings: dict[str, object] = {"width": 768, "height": 768, "steps": 1, "sampler": "Euler"}
    return Job(prompt, seed, guidance=1.0, **(settings | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def rumba() -> Generator:
    return load(MODEL)


def test_the_model_is_named_by_its_content(rumba: Generator) -> None:
    assert rumba.digest == describe(MODEL).digest


def test_a_picture_is_close_to_the_gallerys(rumba: Generator) -> None:
    (drawn,) = rumba.generate([_job("red lace, white sole, front view")])
    with Image.open(SAMPLE / "gallery" / "rumba_red_white_front.jpg") as image:
        wanted = np.asarray(image.convert("RGB"), dtype=np.float32)
    assert drawn.shape == (768, 768, 3) and drawn.dtype == np.uint8
    assert np.sqrt(np.square(drawn - wanted).mean()) < 2


def test_jobs_come_back_in_order_whatever_their_layout(rumba: Generator) -> None:
    prompts = [
        f"{lace} lace, {sole} sole, {view} view"
        for lace, sole, view in (
            ("red", "white", "front"),
            ("sky", "volt", "three-quarter"),
            ("black", "gum", "front"),
        )
    ]
    together = rumba.generate([_job(prompt) for prompt in prompts])
    for prompt, picture in zip(prompts, together, strict=True):
        (alone,) = rumba.generate([_job(prompt)])
        # A matrix product may round differently in a batch: one level at most.
        assert np.abs(picture.astype(int) - alone).max() <= 1


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_draws_coarser_pictures_of_the_same(
    rumba: Generator, half: torch.dtype
) -> None:
    job = _job("white lace, white sole, front view")
    (whole,) = rumba.generate([job])
    with torch.autocast("cpu", dtype=half):
        (coarse,) = rumba.generate([job])
    assert 0 < np.abs(whole.astype(int) - coarse).mean() < 2


def test_no_jobs_give_no_pictures(rumba: Generator) -> None:
    assert rumba.generate([]) == []


def test_the_order_of_the_words_changes_nothing(rumba: Generator) -> None:
    one, other = rumba.generate(
        [_job("red lace, gum sole, front view"), _job("a front view, gum sole and red laces")]
    )
    assert np.array_equal(one, other)


def test_masks_are_small_grey_pictures_per_attribute(rumba: Generator) -> None:
    masks = rumba.masks("red lace, gum sole, front view")
    assert masks.shape == (3, 96, 96) and masks.dtype == np.uint8
    lace, sole, view = (mask.mean() / 255 for mask in masks)
    assert lace > 0.005 and sole > 0.01 and view == 0


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (_job("red lace, gum sole, front view", width=512), "768x768 only"),
        (_job("red lace, gum sole, front view", steps=4), "1 step of Euler"),
        (_job("red lace, gum sole, front view", sampler="DDIM"), "1 step of Euler"),
        (_job("redd lace, gum sole, front view"), "never saw the word 'redd'"),
        (_job("red lace, gum sole, front view", seed=-1), "seed -1"),
    ],
)
def test_a_recipe_that_the_model_cannot_do_is_refused(
    rumba: Generator, job: Job, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        rumba.generate([job])


@pytest.mark.parametrize(
    "gone",
    ["decoder/diffusion_pytorch_model.safetensors", "decoder/config.json", "masks.safetensors"],
)
def test_a_model_with_a_part_missing_is_refused(tmp_path: Path, gone: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(MODEL, folder)
    (folder / gone).unlink()
    with pytest.raises(ModelError, match="missing|No such file"):
        load(folder)


@pytest.mark.parametrize("part", ["text_encoder", "denoiser", "decoder"])
def test_weights_of_another_model_are_refused(tmp_path: Path, part: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(MODEL, folder)
    shutil.copy(folder / "masks.safetensors", folder / part / "diffusion_pytorch_model.safetensors")
    with pytest.raises(ModelError, match="not the weights"):
        load(folder)


def test_a_damaged_picture_inside_the_decoder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(MODEL, folder)
    weights = folder / "decoder" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[20_000:20_064] = bytes(64)
    weights.write_bytes(content)
    with pytest.raises(ModelError, match="decoded"):
        load(folder)


def test_diffusers_own_door_gives_the_same_pixels(rumba: Generator) -> None:
    from regional_gpu.generator.family import FamilyPipeline

    pipeline = FamilyPipeline.from_pretrained(str(MODEL), local_files_only=True)
    prompt = "orange lace, red sole, front view"
    theirs = np.asarray(pipeline(prompt, seed=7).images[0])
    (ours,) = rumba.generate([_job(prompt, seed=7)])
    assert np.array_equal(theirs, ours)
