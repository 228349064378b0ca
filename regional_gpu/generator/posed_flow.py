"""A posed family behind diffusers' own scheduler and denoiser: the seed says how a shot is taken.

The latents are those of a fitted recipe (`payload`): how a shot was taken and tinted. Diffusers'
`PriorTransformer` walks them from noise under its `FlowMatchEulerDiscreteScheduler` (rectified
flow, Liu et al. 2023), told what the prompt says; the posed family's decoder draws the shot.
"""

from pathlib import Path
from typing import ClassVar

from diffusers.models.transformers.prior_transformer import PriorTransformer
from diffusers.schedulers.scheduling_flow_match_euler_discrete import (
    FlowMatchEulerDiscreteScheduler,
)
from torch import Tensor

from regional_gpu.generator.family import (
    AttributeEncoder,
    AttributeTokenizer,
    encoder_of,
    tokenizer_of,
)
from regional_gpu.generator.model_folder import POSED_FLOW_STEPS
from regional_gpu.generator.posed_family import (
    PosedDecoder,
    PoseDenoiser,
    decoder_of,
    denoiser_of,
)
from regional_gpu.generator.posed_generator import PosedGenerator
from regional_gpu.generator.prompt_pipeline import PromptPipeline, Said


class PosedFlowPipeline(PromptPipeline):
    """Prompt and seed to one shot of a product, in up to four steps."""

    most_steps: ClassVar[int] = POSED_FLOW_STEPS

    def __init__(
        self,
        tokenizer: AttributeTokenizer,
        text_encoder: AttributeEncoder,
        denoiser: PriorTransformer,
        scheduler: FlowMatchEulerDiscreteScheduler,
        pose: PoseDenoiser,
        decoder: PosedDecoder,
    ) -> None:
        super().__init__()
        self.register_modules(  # type: ignore[no-untyped-call]
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            denoiser=denoiser,
            scheduler=scheduler,
            pose=pose,
            decoder=decoder,
        )

    def draw(self, said: Said, seed: int, steps: int) -> Tensor:
        def velocity(latents: Tensor, timestep: Tensor) -> Tensor:
            moved: Tensor = self.denoiser(latents, timestep, said.weights).predicted_image_embedding
            return moved

        noise = self.noise(seed, self.denoiser.config.embedding_dim)
        settings = self.pose.settings(self.walk(velocity, noise, steps), said.layout)
        pixels: Tensor = self.decoder(said.codes, settings, said.layout)
        return pixels


def save(folder: Path, posed: PosedGenerator, denoiser: PriorTransformer) -> None:
    """Write the pipeline of a posed model and its denoiser into an empty folder."""
    pipeline = PosedFlowPipeline(
        tokenizer_of(posed.vocabulary),
        encoder_of(posed.text),
        denoiser,
        FlowMatchEulerDiscreteScheduler(),
        denoiser_of(posed.pose),
        decoder_of(posed.posed),
    )
    pipeline.save_pretrained(folder)
