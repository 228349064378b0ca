"""A posed family's flow pipeline behind the one door of all generators."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError

from kvsync.errors import InputError, ModelError
from regional_gpu.generator.family_generator import MASKS, read_masks
from regional_gpu.generator.load import Job
from regional_gpu.generator.posed_flow import STEPS, PosedFlowPipeline


class PosedFlowGenerator:
    """What `load` gives for a `PosedFlowPipeline`; one job at a time, so no batch changes it."""

    def __init__(self, folder: Path, digest: bytes, device: str = "cpu") -> None:
        self.digest = digest
        try:
            self._pipeline = PosedFlowPipeline.from_pretrained(
                str(folder), local_files_only=True, use_safetensors=True
            ).to(torch.device(device))
        except (OSError, ValueError, RuntimeError, TypeError, SafetensorError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ModelError(f"{folder}: cannot be loaded ({reason}); fetch it again") from None
        self._vocabulary = self._pipeline.tokenizer.vocabulary
        self._masks = read_masks(folder / MASKS)

    @property
    def size_bytes(self) -> int:
        parts = self._pipeline.components.values()
        modules = [part for part in parts if isinstance(part, torch.nn.Module)]
        tensors = [tensor for part in modules for tensor in part.state_dict().values()]
        return sum(int(tensor.nbytes) for tensor in (*tensors, *self._pipeline.decoder.layers))

    def generate(self, jobs: Sequence[Job]) -> list[NDArray[np.uint8]]:
        for job in jobs:
            self._check(job)
        made = [self._pipeline(job.prompt, job.seed, job.steps, output_type="np") for job in jobs]
        return [np.asarray(one.images[0], dtype=np.uint8) for one in made]

    def masks(self, prompt: str) -> NDArray[np.uint8]:
        """Where each attribute shows in the family's middle pose."""
        shown: NDArray[np.uint8] = self._masks[self._vocabulary.layout(prompt)]
        return shown

    def _check(self, job: Job) -> None:
        decoder = self._pipeline.decoder
        if (job.width, job.height) != (decoder.width, decoder.height):
            size = f"{decoder.width}x{decoder.height}"
            raise InputError(f"size {job.width}x{job.height}: this model makes {size} only")
        if job.payload:
            raise InputError("payload: this model takes none; its recipe's method is prompt")
        if not 1 <= job.steps <= STEPS or job.sampler.casefold() != "euler" or job.guidance > 1:
            asked = f"{job.steps} steps of {job.sampler} with guidance {job.guidance:g}"
            raise InputError(f"{asked}: this model takes 1 to {STEPS} steps of Euler, guidance 1")
