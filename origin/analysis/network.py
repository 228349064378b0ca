"""A feature network of the user's own: what a picture shows, as a trained network puts it.

A local folder as transformers writes it: CLIP, SigLIP, DINOv2, ViT, ConvNeXt, ResNet and others.
Weights are safetensors, nothing is fetched, and no code that lies in the folder is run.
"""

import hashlib
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kvsync.errors import InputError

Pixels = NDArray[np.uint8]
Embeddings = NDArray[np.int8]

_WEIGHTS: Final = "model.safetensors"
# ImageNet's, for folders that do not say what their network was trained with.
_MEAN: Final = (0.485, 0.456, 0.406)
_DEVIATION: Final = (0.229, 0.224, 0.225)
_SIDE: Final = 224


class _Preparing(msgspec.Struct, frozen=True):
    """What ``preprocessor_config.json`` says of sizes and colours."""

    size: dict[str, int] | int = 0
    crop_size: dict[str, int] | int = 0
    image_mean: tuple[float, float, float] = _MEAN
    image_std: tuple[float, float, float] = _DEVIATION

    @property
    def side(self) -> int:
        """0 where it is not said."""
        said = self.crop_size or self.size
        return next(iter(said.values()), 0) if isinstance(said, dict) else said


class FeatureNetwork:
    """The network in ``folder``. :class:`InputError` where there is none that can be loaded.

    ``name`` is of its content, so that what one network said is not taken for another's; ``side``
    of the square that pictures are scaled to.
    """

    def __init__(self, folder: Path) -> None:
        self._model = _load(folder)
        self._prepare = _preparing(folder)
        self.side = self._prepare.side or _side_of(self._model)
        with (folder / _WEIGHTS).open("rb") as file:
            self.name = hashlib.file_digest(file, "blake2b").hexdigest()[:32]

    def embed(self, pictures: Iterable[Pixels]) -> Embeddings:
        """(pictures, features) directions of (height, width, 3) sRGB pictures, by cosine.

        The whole picture is scaled into the square: what is cut off at the sides by the usual
        crop may be what tells two families apart.
        """
        import torch

        side = (self.side, self.side)
        scaled = [
            np.asarray(Image.fromarray(one).resize(side, Image.Resampling.BICUBIC))
            for one in pictures
        ]
        levels = np.stack(scaled).astype(np.float32) / 255
        mean = np.array(self._prepare.image_mean, np.float32)
        shown = (levels - mean) / np.array(self._prepare.image_std, np.float32)
        with torch.inference_mode():
            said = self._model(pixel_values=torch.from_numpy(shown.transpose(0, 3, 1, 2)))
            pooled = said.pooler_output
            if pooled is None:
                pooled = said.last_hidden_state.mean(dim=1)
        features = pooled.flatten(1).float().numpy()
        largest = np.maximum(np.abs(features).max(axis=1, keepdims=True), 1e-9)
        found: Embeddings = np.rint(127 * features / largest).astype(np.int8)
        return found

    def embed_many(self, pictures: Iterable[Pixels], at_once: int) -> Embeddings:
        """What :meth:`embed` says of as many as there are, ``at_once`` of them in memory."""
        left = iter(pictures)
        batches = iter(lambda: list(islice(left, at_once)), [])
        return np.concatenate([self.embed(batch) for batch in batches])


def _side_of(model: Any) -> int:
    side = getattr(model.config, "image_size", None)
    return side if isinstance(side, int) else _SIDE


def _load(folder: Path) -> Any:
    from safetensors import SafetensorError
    from transformers import AutoModel

    if not (folder / _WEIGHTS).is_file():
        raise InputError(f"{folder}: no feature network: it has no {_WEIGHTS}")
    try:
        model = AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        said = str(error).strip().splitlines()[0]
        raise InputError(f"{folder}: not a feature network of transformers: {said}") from error
    # Of a network for pictures and text, its half for pictures.
    return getattr(model, "vision_model", model).eval()


def _preparing(folder: Path) -> _Preparing:
    file = folder / "preprocessor_config.json"
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Preparing)
    except FileNotFoundError:
        return _Preparing()
    except msgspec.MsgspecError as error:
        raise InputError(f"{file}: cannot be read: {error}") from error
