"""Any text-to-image pipeline of diffusers' own, with our noise in the place of the framework's."""

import inspect
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from kvsync.errors import InputError, ModelError
from regional_gpu.generator.load import MASK_SIDE, Job
from regional_gpu.generator.model_folder import SKIPPED, check_classes, read_json
from regional_gpu.generator.noise import PhiloxNoise

# Every draw of noise is ours, at the start and at each step: PhiloxNoise.
SAMPLERS = {
    "ddim": "DDIMScheduler",
    "dpm++ 2m": "DPMSolverMultistepScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler a": "EulerAncestralDiscreteScheduler",
    "lcm": "LCMScheduler",
    "plms": "PNDMScheduler",
}
FLOW = "FlowMatchEulerDiscreteScheduler"  # what "Euler" is for a model of flows, such as FLUX

# On a CPU a batch gains nothing and would round otherwise than a picture drawn alone.
MAX_BATCH = {"cpu": 1, "cuda": 16}
# Half precision where the hardware is made for it; transformers of flows overflow in float16.
DTYPES = {"StableDiffusionPipeline": torch.float16, "StableDiffusionXLPipeline": torch.float16}
PROMPT_BYTES = 256 << 20

Embeddings = dict[str, Tensor]


class PipelineGenerator:
    """Generates through a diffusers pipeline, in batches of jobs that ask for the same settings.

    One batch at a time: a pipeline and its scheduler keep state between steps.
    """

    def __init__(self, folder: Path, digest: bytes, device: str = "cpu") -> None:
        self.digest = digest
        self.device = torch.device(device)
        self.pipeline = _pipeline(folder, self.device)
        self.pipeline.set_progress_bar_config(disable=True)
        self._own_scheduler = self.pipeline.scheduler
        self._prompts = PromptCache(self.pipeline, self.device, PROMPT_BYTES)
        self._one_at_a_time = threading.Lock()

    @property
    def size_bytes(self) -> int:
        return weight_bytes(self.pipeline) + self._prompts.bytes_held

    def generate(self, jobs: Sequence[Job]) -> list[NDArray[np.uint8]]:
        by_settings: OrderedDict[tuple[Any, ...], list[int]] = OrderedDict()
        for at, job in enumerate(jobs):
            settings = (job.width, job.height, job.steps, job.sampler.casefold(), job.guidance)
            by_settings.setdefault(settings, []).append(at)
        pictures: dict[int, NDArray[np.uint8]] = {}
        limit = MAX_BATCH[self.device.type]
        for members in by_settings.values():
            for start in range(0, len(members), limit):
                batch = members[start : start + limit]
                with self._one_at_a_time:
                    made = self._draw([jobs[at] for at in batch])
                pictures |= zip(batch, made, strict=True)
        return [pictures[at] for at in range(len(jobs))]

    def masks(self, prompt: str) -> NDArray[np.uint8]:
        """(0, 96, 96): such a pipeline has no attributes."""
        return np.zeros((0, MASK_SIDE, MASK_SIDE), dtype=np.uint8)

    @torch.inference_mode()
    def _draw(self, jobs: Sequence[Job]) -> list[NDArray[np.uint8]]:
        """Pictures of jobs that differ in prompt and seed alone."""
        first = jobs[0]
        self._use(first.sampler)
        self._check_size(first)
        try:
            embeddings = [self._prompts.get(job.prompt, job.guidance > 1) for job in jobs]
            together = {
                name: torch.cat([one[name] for one in embeddings]) for name in embeddings[0]
            }
            with PhiloxNoise([job.seed for job in jobs]):
                made = self.pipeline(
                    **together,
                    width=first.width,
                    height=first.height,
                    num_inference_steps=first.steps,
                    guidance_scale=first.guidance,
                    output_type="pt",
                )
        except (ValueError, TypeError) as error:
            raise InputError(f"recipe: this model cannot do it ({error})") from None
        # Rounded where they are: a quarter of the bytes to fetch from a GPU.
        levels = made.images.float().clamp_(0, 1).mul_(255).round_().to(torch.uint8)
        pictures: NDArray[np.uint8] = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        if pictures.shape[1:] != (first.height, first.width, 3):
            raise InputError(f"size {first.width}x{first.height}: this model cannot make it")
        return list(pictures)

    def _use(self, sampler: str) -> None:
        known = SAMPLERS.get(sampler.casefold())
        if known is None:
            raise InputError(f"sampler {sampler!r}: not one of {', '.join(SAMPLERS)}")
        own = type(self._own_scheduler).__name__
        if own == FLOW and known == "EulerDiscreteScheduler":
            known = FLOW
        if FLOW in (own, known) and own != known:
            raise InputError(f"sampler {sampler!r}: does not fit this model's own scheduler")
        kind = getattr(diffusers, known)
        self.pipeline.scheduler = kind.from_config(self._own_scheduler.config)

    def _check_size(self, job: Job) -> None:
        scale = self.pipeline.vae_scale_factor
        if hasattr(self.pipeline, "transformer"):
            scale *= 2  # latents are taken two by two, and what does not fit would be cut away
        if job.width % scale or job.height % scale:
            raise InputError(f"size {job.width}x{job.height}: not a multiple of {scale}")


class PromptCache:
    """What text encoders made of a prompt, the least recently used leaving beyond ``max_bytes``."""

    def __init__(self, pipeline: Any, device: torch.device, max_bytes: int) -> None:
        self._pipeline, self._device, self._max_bytes = pipeline, device, max_bytes
        self._held: OrderedDict[tuple[str, bool], Embeddings] = OrderedDict()
        self.bytes_held = self.encoded = 0

    def get(self, prompt: str, guided: bool) -> Embeddings:
        """The pipeline's own arguments for one prompt, (1, …) each; ``guided`` adds the empty
        prompt that guidance steers away from."""
        key = (prompt, guided)
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        found = self._encode(prompt, guided)
        self.encoded += 1
        self._held[key] = found
        self.bytes_held += _bytes(found)
        while self.bytes_held > self._max_bytes and len(self._held) > 1:
            self.bytes_held -= _bytes(self._held.popitem(last=False)[1])
        return found

    def _encode(self, prompt: str, guided: bool) -> Embeddings:
        names = ["prompt_embeds", "negative_prompt_embeds"]
        if hasattr(self._pipeline, "transformer"):
            made = self._pipeline.encode_prompt(prompt, device=self._device)
            return {"prompt_embeds": made[0], "pooled_prompt_embeds": made[1]}
        made = self._pipeline.encode_prompt(
            prompt, device=self._device, num_images_per_prompt=1, do_classifier_free_guidance=guided
        )
        if len(made) == 4:
            names += ["pooled_prompt_embeds", "negative_pooled_prompt_embeds"]
        return {name: one for name, one in zip(names, made, strict=True) if one is not None}


def _bytes(embeddings: Embeddings) -> int:
    return sum(tensor.nbytes for tensor in embeddings.values())


def _pipeline(folder: Path, device: torch.device) -> Any:
    """One of diffusers' own pipelines, in the precision that the device is made for."""
    index = read_json(folder / "model_index.json")
    kind = getattr(diffusers, index["_class_name"])
    absent: dict[str, Any] = {name: None for name in index if name in SKIPPED}
    if "requires_safety_checker" in inspect.signature(kind.__init__).parameters:
        absent["requires_safety_checker"] = False
    half = DTYPES.get(index["_class_name"], torch.bfloat16)
    dtype = half if device.type == "cuda" else torch.float32
    pipeline = read_pipeline(kind, folder, dtype=dtype, **absent)
    pipeline.to(device)
    if device.type == "cuda":
        for name in ("unet", "vae"):
            if (part := getattr(pipeline, name, None)) is not None:
                # Tensor cores read convolutions' channels side by side.
                part.to(memory_format=torch.channels_last)
    return pipeline


def read_pipeline(kind: Any, folder: Path, **settings: Any) -> Any:
    """A pipeline of class ``kind`` from a checked folder: local safetensors only, no code of its
    own. Raises ModelError when something is missing or is not such a pipeline's."""
    for name in check_classes(folder):
        if not (folder / name).is_dir():
            raise ModelError(f"{folder / name}: missing; fetch the model again")
    try:
        return kind.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, **settings
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{folder}: cannot be loaded ({reason}); fetch it again") from None


def weight_bytes(pipeline: Any) -> int:
    """What the weights of a pipeline's networks hold in memory."""
    parts = pipeline.components.values()
    modules = [part for part in parts if isinstance(part, torch.nn.Module)]
    return sum(int(tensor.nbytes) for part in modules for tensor in part.state_dict().values())
