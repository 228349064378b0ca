"""Randomly initialised pipelines of diffusers' true classes: speed does not depend on weights,
and nor does whether noise and arithmetic repeat."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import torch

Kind = Literal["sd", "sd-turbo", "sdxl-turbo", "flux", "sd-turbo at its true size"]

# By the names and values of the published scheduler_config.json of each family.
TURBO = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "timestep_spacing": "trailing",
}
TRUE_CLIP_WORDS = 49_408


def save_pipeline(
    kind: Kind, folder: Path, *, dtype: torch.dtype = torch.float32, seed: int = 0
) -> Path:
    """Write a pipeline of one kind. All but the one at its true size (512x512, with a decoder of
    TAESD's class and size) are tiny: pictures of 32x32 in a second on a CPU."""
    torch.manual_seed(seed)
    pipeline = BUILDERS[kind](folder.with_name(f"{folder.name}-words"))
    pipeline.to(dtype=dtype).save_pretrained(folder)
    return folder


def _libraries() -> tuple[Any, Any]:
    """Imported by name: their classes are not annotated."""
    return import_module("diffusers"), import_module("transformers")


def _clip_tokenizer(folder: Path) -> Any:
    """Letters and their ends of words: enough to read any lower-case prompt."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{one}</w>" for one in letters)]
    (folder / "vocab.json").write_text(json.dumps({token: at for at, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    _, transformers = _libraries()
    return transformers.CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77
    )


def _clip(tokenizer: Any, *, projection: int | None = None) -> Any:
    _, transformers = _libraries()
    config = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=77,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        projection_dim=projection or 16,
    )
    kind = transformers.CLIPTextModelWithProjection if projection else transformers.CLIPTextModel
    return kind(config)


def _unet(**more: Any) -> Any:
    diffusers, _ = _libraries()
    settings: dict[str, Any] = {
        "sample_size": 8,
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": 16,
        "attention_head_dim": 4,
    }
    return diffusers.UNet2DConditionModel(**(settings | more))


def _vae(shift: float | None = None) -> Any:
    diffusers, _ = _libraries()
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        shift_factor=shift,
        norm_num_groups=4,
        sample_size=16,
    )


def _stable_diffusion(
    vae: Any, scheduler: Any, tokenizer: Any, text_encoder: Any, unet: Any
) -> Any:
    diffusers, _ = _libraries()
    return diffusers.StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _sd(words: Path) -> Any:
    diffusers, _ = _libraries()
    vae, tokenizer = _vae(), _clip_tokenizer(words)
    scheduler = diffusers.DDIMScheduler(steps_offset=1, clip_sample=False)
    return _stable_diffusion(vae, scheduler, tokenizer, _clip(tokenizer), _unet())


def _sd_turbo(words: Path) -> Any:
    diffusers, _ = _libraries()
    decoder = diffusers.AutoencoderTiny(
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
    )
    tokenizer, scheduler = _clip_tokenizer(words), diffusers.EulerDiscreteScheduler(**TURBO)
    return _stable_diffusion(decoder, scheduler, tokenizer, _clip(tokenizer), _unet())


def _true_sd_turbo(words: Path) -> Any:
    diffusers, transformers = _libraries()
    text = transformers.CLIPTextConfig(
        vocab_size=TRUE_CLIP_WORDS,
        hidden_size=1_024,
        intermediate_size=4_096,
        num_hidden_layers=23,
        num_attention_heads=16,
        max_position_embeddings=77,
        hidden_act="gelu",
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    unet = diffusers.UNet2DConditionModel(
        sample_size=64,
        block_out_channels=(320, 640, 1_280, 1_280),
        layers_per_block=2,
        cross_attention_dim=1_024,
        attention_head_dim=(5, 10, 20, 20),
        use_linear_projection=True,
    )
    return _stable_diffusion(
        diffusers.AutoencoderTiny(),
        diffusers.EulerDiscreteScheduler(**TURBO),
        _clip_tokenizer(words),
        transformers.CLIPTextModel(text),
        unet,
    )


def _sdxl_turbo(words: Path) -> Any:
    diffusers, _ = _libraries()
    tokenizer = _clip_tokenizer(words)
    return diffusers.StableDiffusionXLPipeline(
        vae=_vae(),
        text_encoder=_clip(tokenizer),
        text_encoder_2=_clip(tokenizer, projection=16),
        tokenizer=tokenizer,
        tokenizer_2=_clip_tokenizer(words),
        unet=_unet(
            cross_attention_dim=32,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=64,
            transformer_layers_per_block=(1, 1),
        ),
        scheduler=diffusers.EulerAncestralDiscreteScheduler(**TURBO),
    )


def _flux(words: Path) -> Any:
    diffusers, transformers = _libraries()
    tokenizer = _clip_tokenizer(words)
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("▁", -2.0)]
    pieces += [(chr(code), -3.0) for code in range(ord("a"), ord("z") + 1)]
    config = transformers.T5Config(
        vocab_size=256, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4
    )
    return diffusers.FluxPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        vae=_vae(shift=0.1159),
        text_encoder=_clip(tokenizer),
        tokenizer=tokenizer,
        text_encoder_2=transformers.T5EncoderModel(config),
        tokenizer_2=transformers.T5Tokenizer(vocab=pieces, extra_ids=0),
        transformer=diffusers.FluxTransformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=16,
            axes_dims_rope=(4, 4, 8),
        ),
    )


BUILDERS: dict[Kind, Callable[[Path], Any]] = {
    "sd": _sd,
    "sd-turbo": _sd_turbo,
    "sdxl-turbo": _sdxl_turbo,
    "flux": _flux,
    "sd-turbo at its true size": _true_sd_turbo,
}
