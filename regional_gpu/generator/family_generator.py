"""A family model, loaded the quick way: no diffusers, one pass for all jobs of a layout."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from kvsync.errors import ModelError
from regional_gpu.generator.load import MASK_SIDE, Job
from regional_gpu.generator.model_folder import read_json
from regional_gpu.generator.network import (
    CHANNELS,
    BasisNetwork,
    CoefficientNetwork,
    TextNetwork,
    by_channel,
    euler,
)
from regional_gpu.generator.one_step import by_layout, check
from regional_gpu.generator.philox import normals
from regional_gpu.generator.text import read_vocabulary

Network = TypeVar("Network", bound=nn.Module)
WEIGHTS = "diffusion_pytorch_model.safetensors"
MASKS = "masks.safetensors"
# Larger batches fall out of the cache (docs/generator.md).
MAX_BATCH = 2


class FamilyGenerator:
    """Generates one product family's pictures; what `load` gives for a `FamilyPipeline`."""

    def __init__(self, folder: Path, digest: bytes, device: str = "cpu") -> None:
        self.digest = digest
        self.device = torch.device(device)
        self.vocabulary = read_vocabulary(folder / "tokenizer" / "vocabulary.json")
        self.text = read_network(TextNetwork, folder / "text_encoder", self.device)
        self.coefficients = read_network(CoefficientNetwork, folder / "denoiser", self.device)
        self.basis = read_network(BasisNetwork, folder / "decoder", self.device)
        self._masks = read_masks(folder / MASKS)
        layouts = {
            len(self.vocabulary.layouts),
            self.coefficients.spread.shape[0],
            self.basis.layouts,
        }
        fits = (
            len(layouts) == 1
            and self.text.embedding.shape[0] == len(self.vocabulary.tokens)
            and self.text.embedding.shape[1] == CHANNELS * self.coefficients.components
            and self.basis.components == self.coefficients.components
        )
        if not fits:
            raise ModelError(f"{folder}: its parts do not fit together; train it again")
        self._layers = self.basis.layers

    @property
    def size_bytes(self) -> int:
        return sum(layer.size_bytes for layer in self._layers) + self.basis.pictures.nbytes

    @torch.inference_mode()
    def generate(self, jobs: Sequence[Job]) -> list[NDArray[np.uint8]]:
        for job in jobs:
            check(job, self.basis.width, self.basis.height)
        return by_layout(jobs, self.vocabulary.layout, self._draw, MAX_BATCH)

    def masks(self, prompt: str) -> NDArray[np.uint8]:
        shown: NDArray[np.uint8] = self._masks[self.vocabulary.layout(prompt)]
        return shown

    def _draw(self, jobs: Sequence[Job], layout: int) -> NDArray[np.uint8]:
        weights = np.stack([self.vocabulary.weights(job.prompt) for job in jobs])
        count = self.coefficients.components
        drawn = np.stack([normals(job.seed, 0, count) for job in jobs])
        noise = by_channel(torch.from_numpy(drawn).to(self.device))
        text = self.text(torch.from_numpy(weights).to(self.device))
        x = euler(self.coefficients(noise, text, layout), noise, 1.0, 0.0)
        pixels: NDArray[np.uint8] = self._layers[layout].draw(x).cpu().numpy()
        return pixels


def read_masks(path: Path) -> NDArray[np.uint8]:
    """Masks by layout and attribute, (layouts, attributes, 96, 96). Raises ModelError."""
    if not path.is_file():
        raise ModelError(f"{path}: missing; train the model again")
    try:
        masks: NDArray[np.uint8] = load_file(path)["masks"].numpy()
    except (SafetensorError, KeyError) as error:
        raise ModelError(f"{path}: holds no masks ({error})") from None
    if masks.ndim != 4 or masks.shape[2:] != (MASK_SIDE, MASK_SIDE) or masks.dtype != np.uint8:
        raise ModelError(f"{path}: masks of shape {masks.shape}")
    return masks


def read_network(kind: type[Network], folder: Path, device: torch.device) -> Network:
    """A network from its configuration and weights. Raises ModelError when they are not its."""
    config: dict[str, Any] = read_json(folder / "config.json")
    try:
        network = kind(**{key: config[key] for key in config if not key.startswith("_")})
        network.load_state_dict(load_file(folder / WEIGHTS))
    except OSError as error:
        raise ModelError(f"{folder / WEIGHTS}: {error}; fetch the model again") from None
    except (SafetensorError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"{folder}: not the weights of this model ({reason})") from None
    return network.to(device).eval()
