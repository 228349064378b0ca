"""Any Stable Diffusion folder loads through the same door: here a tiny one of the true classes."""

import json
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kvsync.errors import InputError, ModelError
from regional_gpu.generator.load import Generator, Job, load


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    # Imported by name: its classes are not annotated.
    diffusers: Any = import_module("diffusers")
    torch.manual_seed(0)
    words = tmp_path_factory.mktemp("words")
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(one + "</w>" for one in letters)]
    vocabulary = {token: at for at, token in enumerate(tokens)}
    (words / "vocab.json").write_text(json.dumps(vocabulary))
    (words / "merges.txt").write_text("#version: 0.2\n")
    text = CLIPTextConfig(
        vocab_size=len(tokens),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=77,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=4,
    )
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=16,
    )
    pipeline = diffusers.StableDiffusionPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(text),
        tokenizer=CLIPTokenizer(
            str(words / "vocab.json"), str(words / "merges.txt"), model_max_length=77
        ),
        unet=unet,
        scheduler=diffusers.DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    out = tmp_path_factory.mktemp("models") / "tiny"
    pipeline.save_pretrained(out)
    return out


@pytest.fixture(scope="module")
def generator(folder: Path) -> Generator:
    return load(folder)


def _job(prompt: str = "a red shoe", seed: int = 0, sampler: str = "DDIM", size: int = 32) -> Job:
    return Job(prompt, seed, size, size, 2, sampler, 2.0)


def test_it_makes_a_picture_of_the_size_asked_for(generator: Generator) -> None:
    (picture,) = generator.generate([_job()])
    assert picture.shape == (32, 32, 3) and picture.dtype == np.uint8 and picture.std() > 1


def test_one_recipe_makes_one_picture_alone_or_among_others(generator: Generator) -> None:
    first, other, again = generator.generate([_job(), _job(seed=1), _job()])
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_the_frameworks_own_randomness_has_no_say(generator: Generator) -> None:
    torch.manual_seed(1)
    (first,) = generator.generate([_job()])
    torch.manual_seed(2)
    (second,) = generator.generate([_job()])
    assert np.array_equal(first, second)


@pytest.mark.parametrize("sampler", ["euler", "DPM++ 2M"])
def test_other_samplers_are_the_models_too(generator: Generator, sampler: str) -> None:
    (picture,) = generator.generate([_job(sampler=sampler)])
    assert picture.shape == (32, 32, 3)


def test_it_has_no_masks_and_knows_its_size(generator: Generator) -> None:
    assert generator.masks("anything").shape == (0, 96, 96)
    assert generator.size_bytes > 10_000


def test_an_unknown_sampler_or_an_odd_size_is_refused(generator: Generator) -> None:
    with pytest.raises(InputError, match="sampler 'Heun'"):
        generator.generate([_job(sampler="Heun")])
    with pytest.raises(InputError, match="not a multiple of 2"):
        generator.generate([_job(size=33)])


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
