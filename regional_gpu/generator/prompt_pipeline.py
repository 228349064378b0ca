"""What the pipelines of our own models have in common: a prompt and a seed in, one picture out."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline, ImagePipelineOutput
from PIL import Image
from torch import Tensor

from kvsync.errors import InputError
from regional_gpu.generator.philox import torch_normals
from regional_gpu.generator.text import Vocabulary

Velocity = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Said:
    """What a prompt says: its layout, how much of each token, (1, tokens), and their codes."""

    layout: int
    weights: Tensor
    codes: Tensor


class PromptPipeline(DiffusionPipeline, ABC):
    """A tokenizer of attributes, their encoder, and whatever draws pictures of what they say.

    Subclasses register their components and say how a picture is drawn.
    """

    most_steps: ClassVar[int] = 1

    @torch.inference_mode()
    def __call__(
        self,
        prompt: str,
        seed: int = 0,
        num_inference_steps: int | None = None,
        output_type: str = "pil",
    ) -> ImagePipelineOutput:
        """One image for ``prompt``; noise is Philox's, so ``seed`` takes a generator's place.

        ``output_type`` is "pil" or "np", 8-bit pixels (1, height, width, 3). Raises InputError for
        a prompt that the model cannot read or steps that it does not make.
        """
        steps = self.most_steps if num_inference_steps is None else num_inference_steps
        if not 1 <= steps <= self.most_steps:
            raise InputError(f"{steps} steps: this model makes 1 to {self.most_steps}")
        if output_type not in {"pil", "np"}:
            raise InputError(f"output_type {output_type!r}: 'pil' or 'np'")
        vocabulary: Vocabulary = self.tokenizer.vocabulary
        weights = torch.from_numpy(vocabulary.weights(prompt)).to(self.decoder.device)[None]
        said = Said(vocabulary.layout(prompt), weights, self.text_encoder(weights))
        pixels = self.draw(said, seed, steps).cpu().numpy()
        images = [Image.fromarray(picture) for picture in pixels]
        return ImagePipelineOutput(images=images if output_type == "pil" else pixels)

    @abstractmethod
    def draw(self, said: Said, seed: int, steps: int) -> Tensor:
        """8-bit sRGB pixels, (1, height, width, 3)."""

    def noise(self, seed: int, count: int) -> Tensor:
        """The seed's normals, (1, count)."""
        return torch_normals(seed, 0, count, self.decoder.device)[None]

    def walk(self, velocity: Velocity, noise: Tensor, steps: int) -> Tensor:
        """From noise to what it stands for in equal steps of the scheduler; ``velocity`` is asked
        with where the walk is and the timestep, (1,)."""
        sigmas = [1 - at / steps for at in range(steps)]
        # A scheduler counts its steps: one of its own lets pictures be drawn side by side.
        scheduler = self.scheduler.from_config(self.scheduler.config)
        scheduler.set_timesteps(sigmas=sigmas, device=noise.device)
        for timestep in scheduler.timesteps:
            moved = scheduler.step(velocity(noise, timestep[None]), timestep, noise)
            noise = moved.prev_sample
        return noise
