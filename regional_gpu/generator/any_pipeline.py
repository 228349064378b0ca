"""Any text-to-image pipeline of diffusers' own, with our noise in the place of the framework's."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError

from kvsync.errors import InputError, ModelError
from regional_gpu.generator.load import MASK_SIDE, Job
from regional_gpu.generator.model_folder import SKIPPED, check_classes, read_json
from regional_gpu.generator.philox import torch_normals

# Those that draw no noise of their own: all randomness is in the first latents.
SAMPLERS = {
    "ddim": "DDIMScheduler",
    "dpm++ 2m": "DPMSolverMultistepScheduler",
    "euler": "EulerDiscreteScheduler",
    "plms": "PNDMScheduler",
}


class PipelineGenerator:
    """Generates through a diffusers pipeline; one job at a time, so that no batch changes it."""

    def __init__(self, folder: Path, digest: bytes, device: str = "cpu") -> None:
        self.digest = digest
        self.device = torch.device(device)
        self._pipeline = _pipeline(folder).to(self.device)
        self._pipeline.set_progress_bar_config(disable=True)

    @property
    def size_bytes(self) -> int:
        parts = self._pipeline.components.values()
        modules = [part for part in parts if isinstance(part, torch.nn.Module)]
        return sum(tensor.nbytes for part in modules for tensor in part.state_dict().values())

    def generate(self, jobs: Sequence[Job]) -> list[NDArray[np.uint8]]:
        return [self._draw(job) for job in jobs]

    def masks(self, prompt: str) -> NDArray[np.uint8]:
        """(0, 96, 96): such a pipeline has no attributes."""
        return np.zeros((0, MASK_SIDE, MASK_SIDE), dtype=np.uint8)

    @torch.inference_mode()
    def _draw(self, job: Job) -> NDArray[np.uint8]:
        self._use(job.sampler)
        try:
            made = self._pipeline(
                prompt=job.prompt,
                width=job.width,
                height=job.height,
                num_inference_steps=job.steps,
                guidance_scale=job.guidance,
                latents=self._latents(job),
                output_type="np",
            )
        except (ValueError, TypeError) as error:
            raise InputError(f"recipe: this model cannot do it ({error})") from None
        pixels: NDArray[np.uint8] = np.rint(np.clip(made.images[0], 0, 1) * 255).astype(np.uint8)
        if pixels.shape != (job.height, job.width, 3):
            raise InputError(f"size {job.width}x{job.height}: this model cannot make it")
        return pixels

    def _use(self, sampler: str) -> None:
        known = SAMPLERS.get(sampler.casefold())
        scheduler = self._pipeline.scheduler
        if known is None:
            raise InputError(f"sampler {sampler!r}: not one of {', '.join(SAMPLERS)}")
        if type(scheduler).__name__ == known:
            return
        kind = getattr(diffusers, known)
        if kind not in scheduler.compatibles:
            raise InputError(f"sampler {sampler!r}: does not fit this model's own scheduler")
        self._pipeline.scheduler = kind.from_config(scheduler.config)

    def _latents(self, job: Job) -> torch.Tensor:
        scale = self._pipeline.vae_scale_factor
        if job.width % scale or job.height % scale:
            raise InputError(f"size {job.width}x{job.height}: not a multiple of {scale}")
        unet = self._pipeline.unet
        shape = (1, unet.config.in_channels, job.height // scale, job.width // scale)
        count = shape[1] * shape[2] * shape[3]
        return torch_normals(job.seed, 0, count, self.device).reshape(shape).to(unet.dtype)


def _pipeline(folder: Path) -> Any:
    """The pipeline of a checked folder: local safetensors only, no code of its own."""
    components = check_classes(folder)
    index = read_json(folder / "model_index.json")
    kind = getattr(diffusers, index["_class_name"])
    absent: dict[str, Any] = {name: None for name in index if name in SKIPPED}
    if "requires_safety_checker" in inspect.signature(kind.__init__).parameters:
        absent["requires_safety_checker"] = False
    for name in components:
        if not (folder / name).is_dir():
            raise ModelError(f"{folder / name}: missing; fetch the model again")
    try:
        return kind.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, **absent
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{folder}: cannot be loaded ({reason}); fetch it again") from None
