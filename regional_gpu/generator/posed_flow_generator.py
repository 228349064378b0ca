"""A posed family's flow pipeline behind the one door of all generators."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from regional_gpu.generator.any_pipeline import read_pipeline, weight_bytes
from regional_gpu.generator.family_generator import MASKS, read_masks
from regional_gpu.generator.load import Job
from regional_gpu.generator.one_step import check
from regional_gpu.generator.posed_flow import PosedFlowPipeline


class PosedFlowGenerator:
    """What `load` gives for a `PosedFlowPipeline`; one job at a time, so no batch changes it."""

    def __init__(self, folder: Path, digest: bytes, device: str = "cpu") -> None:
        self.digest = digest
        self._pipeline = read_pipeline(PosedFlowPipeline, folder).to(torch.device(device))
        self._layers = self._pipeline.decoder.layers
        self._masks = read_masks(folder / MASKS)

    @property
    def size_bytes(self) -> int:
        drawn_from: int = sum(layer.nbytes for layer in self._layers)
        return weight_bytes(self._pipeline) + drawn_from

    def generate(self, jobs: Sequence[Job]) -> list[NDArray[np.uint8]]:
        decoder, most = self._pipeline.decoder, self._pipeline.most_steps
        for job in jobs:
            check(job, decoder.width, decoder.height, most_steps=most)
        made = [self._pipeline(job.prompt, job.seed, job.steps, output_type="np") for job in jobs]
        return [one.images[0] for one in made]

    def masks(self, prompt: str) -> NDArray[np.uint8]:
        """Where each attribute shows in the family's middle pose."""
        shown: NDArray[np.uint8] = self._masks[self._pipeline.tokenizer.vocabulary.layout(prompt)]
        return shown
