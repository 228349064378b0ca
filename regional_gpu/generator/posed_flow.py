"""A posed family behind diffusers' own denoiser and scheduler: seed and prompt to a shot.

The latents are how a shot was taken, 21 numbers around 0 (`posed_network`). Diffusers'
`PriorTransformer` walks them from noise under its `FlowMatchEulerDiscreteScheduler` in a few
steps (rectified flow, Liu et al. 2023); the trained pictures of the posed family decode them.
"""

from pathlib import Path

import numpy as np
import torch
from diffusers.models.transformers.prior_transformer import PriorTransformer
from diffusers.pipelines.pipeline_utils import DiffusionPipeline, ImagePipelineOutput
from diffusers.schedulers.scheduling_flow_match_euler_discrete import (
    FlowMatchEulerDiscreteScheduler,
)
from PIL import Image

from kvsync.errors import InputError
from regional_gpu.generator.family import AttributeEncoder, AttributeTokenizer, like
from regional_gpu.generator.philox import torch_normals
from regional_gpu.generator.posed_family import PosedDecoder, PoseDenoiser
from regional_gpu.generator.posed_generator import PosedGenerator
from regional_gpu.generator.shots import SETTINGS
from regional_gpu.generator.text import Vocabulary, vocabulary_json

STEPS = 4


class PosedFlowPipeline(DiffusionPipeline):
    """Prompt and seed to one shot of a product, in at most a few steps."""

    def __init__(
        self,
        tokenizer: AttributeTokenizer,
        text_encoder: AttributeEncoder,
        prior: PriorTransformer,
        scheduler: FlowMatchEulerDiscreteScheduler,
        pose: PoseDenoiser,
        decoder: PosedDecoder,
    ) -> None:
        super().__init__()
        self.register_modules(  # type: ignore[no-untyped-call]
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            prior=prior,
            scheduler=scheduler,
            pose=pose,
            decoder=decoder,
        )

    @torch.inference_mode()
    def __call__(
        self,
        prompt: str,
        seed: int = 0,
        num_inference_steps: int = STEPS,
        output_type: str = "pil",
    ) -> ImagePipelineOutput:
        """One image for ``prompt``; noise is Philox's, so ``seed`` takes a generator's place."""
        if output_type not in {"pil", "np"}:
            raise InputError(f"output_type {output_type!r}: 'pil' or 'np'")
        vocabulary: Vocabulary = self.tokenizer.vocabulary
        device = self.decoder.device
        layout = vocabulary.layout(prompt)
        said = torch.from_numpy(vocabulary.weights(prompt)).to(device)[None]
        latents = torch_normals(seed, 0, SETTINGS, device)[None]
        sigmas = np.linspace(1, 1 / num_inference_steps, num_inference_steps)
        self.scheduler.set_timesteps(sigmas=sigmas.tolist(), device=device)
        for timestep in self.scheduler.timesteps:
            velocity = self.prior(latents, timestep[None], said).predicted_image_embedding
            latents = self.scheduler.step(velocity, timestep, latents).prev_sample
        settings = latents - self.pose(latents, layout)
        pixels = self.decoder(self.text_encoder(said), settings, layout).cpu().numpy()
        images = [Image.fromarray(picture) for picture in pixels]
        return ImagePipelineOutput(images=images if output_type == "pil" else pixels)


def save(folder: Path, posed: PosedGenerator, prior: PriorTransformer) -> None:
    """Write the pipeline of a posed model and its prior into an empty folder."""
    scratch = folder / "vocabulary.json"
    scratch.write_text(vocabulary_json(posed.vocabulary))
    network = posed.posed
    decoder = PosedDecoder(
        network.width, network.height, network.margins, network.attributes, network.streams
    )
    pipeline = PosedFlowPipeline(
        AttributeTokenizer(str(scratch)),
        like(AttributeEncoder(*posed.text.embedding.shape), posed.text),
        prior,
        FlowMatchEulerDiscreteScheduler(),
        like(PoseDenoiser(len(posed.pose.centre)), posed.pose),
        like(decoder, network),
    )
    scratch.unlink()
    pipeline.save_pretrained(folder)
