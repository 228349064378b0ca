"""A network that the user names: a local folder, nothing fetched, nothing of it run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import (
    AutoModel,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    Dinov2Config,
    ResNetConfig,
    ViTConfig,
)

from kvsync.errors import InputError
from origin.analysis.network import FeatureNetwork

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
}
CONFIGS: dict[str, Callable[[], Any]] = {
    "vit": lambda: ViTConfig(**SMALL),
    "dinov2": lambda: Dinov2Config(**SMALL),
    "resnet": lambda: ResNetConfig(
        embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic"
    ),
}
PICTURES = [
    np.random.default_rng(seed).integers(0, 256, (40, 60, 3), np.uint8) for seed in range(3)
]


def network_in(folder: Path, config: Any) -> Path:
    """A network of a true class, with weights drawn at random."""
    made: Any = AutoModel
    made.from_config(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_folder_of_transformers_tells_pictures_apart(kind: str, tmp_path: Path) -> None:
    network = FeatureNetwork(network_in(tmp_path, CONFIGS[kind]()))
    found = network.embed(PICTURES)
    assert found.shape == (3, 32) and found.dtype == np.int8
    assert np.array_equal(found, FeatureNetwork(tmp_path).embed(PICTURES))
    assert np.array_equal(found, FeatureNetwork(tmp_path).embed_many(iter(PICTURES), 2))
    assert not np.array_equal(found[0], found[1])


def test_of_clip_the_half_for_pictures_is_asked(tmp_path: Path) -> None:
    text = {**SMALL, "vocab_size": 40, "max_position_embeddings": 8}
    for name in ("image_size", "patch_size"):
        del text[name]
    CLIPModel(CLIPConfig(text_config=text, vision_config=SMALL)).save_pretrained(tmp_path)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=32).save_pretrained(tmp_path)
    network = FeatureNetwork(tmp_path)
    assert network.side == 32 and network.embed(PICTURES).shape == (3, 32)


def test_what_is_no_network_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no feature network: it has no model.safetensors"):
        FeatureNetwork(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    (tmp_path / "config.json").write_text('{"model_type": "none-such"}')
    with pytest.raises(InputError, match="not a feature network of transformers"):
        FeatureNetwork(tmp_path)


def test_code_in_the_folder_is_never_run(tmp_path: Path) -> None:
    network_in(tmp_path, ViTConfig(**SMALL))
    (tmp_path / "config.json").write_text(
        '{"model_type": "made-up", "auto_map": {"AutoModel": "made.Up", "AutoConfig": "made.C"}}'
    )
    (tmp_path / "made.py").write_text("raise SystemExit('run')")
    with pytest.raises(InputError, match="not a feature network"):
        FeatureNetwork(tmp_path)
