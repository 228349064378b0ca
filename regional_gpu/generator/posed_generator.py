"""A posed family's model, loaded the quick way: no diffusers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kvsync.errors import ModelError
from regional_gpu.generator.family_generator import MASKS, read_masks, read_network
from regional_gpu.generator.load import Job
from regional_gpu.generator.network import TextNetwork
from regional_gpu.generator.one_step import check
from regional_gpu.generator.payload import unpack
from regional_gpu.generator.philox import normals
from regional_gpu.generator.posed_network import PosedNetwork, PoseNetwork
from regional_gpu.generator.shots import CHANNELS, SETTINGS
from regional_gpu.generator.text import read_vocabulary


class PosedGenerator:
    """Generates the shots of one product family; what `load` gives for a `PosedPipeline`.

    A job's seed draws how the shot is taken; where it has a payload, that says so instead.
    """

    def __init__(self, folder: Path, digest: bytes, device: str = "cpu") -> None:
        self.folder, self.digest = folder, digest
        self.device = torch.device(device)
        self.vocabulary = read_vocabulary(folder / "tokenizer" / "vocabulary.json")
        self.text = read_network(TextNetwork, folder / "text_encoder", self.device)
        self.pose = read_network(PoseNetwork, folder / "denoiser", self.device)
        self.posed = read_network(PosedNetwork, folder / "decoder", self.device)
        self._masks = read_masks(folder / MASKS)
        layouts = len(self.vocabulary.layouts)
        fits = (
            layouts == len(self.pose.centre) == self.posed.layouts == len(self._masks)
            and len(self.text.embedding) == len(self.vocabulary.tokens)
            and self.text.embedding.shape[1] == layouts * self.posed.attributes * CHANNELS
        )
        if not fits:
            raise ModelError(f"{folder}: its parts do not fit together; train it again")
        self._layers = self.posed.layers

    @property
    def size_bytes(self) -> int:
        return sum(layer.nbytes for layer in self._layers) + self.posed.pictures.nbytes

    @property
    def latents(self) -> int:
        """How many a payload holds: of the shot's settings, then its tints."""
        return SETTINGS + CHANNELS * self.posed.attributes

    @torch.inference_mode()
    def generate(self, jobs: Sequence[Job]) -> list[NDArray[np.uint8]]:
        taken = [(self.vocabulary.layout(job.prompt), self._latents(job)) for job in jobs]
        return [
            self._draw(job.prompt, layout, latents)
            for job, (layout, latents) in zip(jobs, taken, strict=True)
        ]

    def masks(self, prompt: str) -> NDArray[np.uint8]:
        """Where each attribute shows in the family's middle pose."""
        shown: NDArray[np.uint8] = self._masks[self.vocabulary.layout(prompt)]
        return shown

    def codes(self, prompt: str) -> Tensor:
        """What a prompt says, (1, layouts x attributes x 3). Raises InputError as generating."""
        weights = torch.from_numpy(self.vocabulary.weights(prompt)).to(self.device)
        codes: Tensor = self.text(weights[None])
        return codes

    def _draw(self, prompt: str, layout: int, latents: NDArray[np.float32]) -> NDArray[np.uint8]:
        given = torch.from_numpy(latents).to(self.device)[None]
        settings = self.pose.settings(given, layout)
        pixels: NDArray[np.uint8] = (
            self.posed(self.codes(prompt), settings, layout)[0].cpu().numpy()
        )
        return pixels

    def _latents(self, job: Job) -> NDArray[np.float32]:
        check(job, self.posed.width, self.posed.height, takes_payload=True)
        if job.payload:
            return unpack(job.payload, self.latents)
        return normals(job.seed, 0, SETTINGS)
