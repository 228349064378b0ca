"""A posed family's generator as a diffusers pipeline: the arithmetic of `posed_generator`."""

from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.pipelines.pipeline_utils import DiffusionPipeline, ImagePipelineOutput
from diffusers.schedulers.scheduling_flow_match_euler_discrete import (
    FlowMatchEulerDiscreteScheduler,
)
from PIL import Image

from kvsync.errors import InputError
from regional_gpu.generator.family import AttributeEncoder, AttributeTokenizer, like
from regional_gpu.generator.network import TextNetwork
from regional_gpu.generator.philox import torch_normals
from regional_gpu.generator.posed_network import PosedNetwork, PoseNetwork
from regional_gpu.generator.shots import SETTINGS
from regional_gpu.generator.text import Vocabulary, vocabulary_json


class PoseDenoiser(ModelMixin, PoseNetwork, ConfigMixin):  # type: ignore[misc]
    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, layouts: int) -> None:
        PoseNetwork.__init__(self, layouts)


class PosedDecoder(ModelMixin, PosedNetwork, ConfigMixin):  # type: ignore[misc]
    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        width: int,
        height: int,
        margins: Sequence[int],
        attributes: int,
        streams: Sequence[int],
    ) -> None:
        PosedNetwork.__init__(self, width, height, margins, attributes, streams)


class PosedPipeline(DiffusionPipeline):
    """Prompt and seed to one shot of a product: the seed draws how it was taken."""

    def __init__(
        self,
        tokenizer: AttributeTokenizer,
        text_encoder: AttributeEncoder,
        denoiser: PoseDenoiser,
        scheduler: FlowMatchEulerDiscreteScheduler,
        decoder: PosedDecoder,
    ) -> None:
        super().__init__()
        self.register_modules(  # type: ignore[no-untyped-call]
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            denoiser=denoiser,
            scheduler=scheduler,
            decoder=decoder,
        )

    @torch.inference_mode()
    def __call__(self, prompt: str, seed: int = 0, output_type: str = "pil") -> ImagePipelineOutput:
        """One image for ``prompt``; noise is Philox's, so ``seed`` takes a generator's place."""
        if output_type not in {"pil", "np"}:
            raise InputError(f"output_type {output_type!r}: 'pil' or 'np'")
        vocabulary: Vocabulary = self.tokenizer.vocabulary
        device = self.decoder.device
        layout = vocabulary.layout(prompt)
        codes = self.text_encoder(torch.from_numpy(vocabulary.weights(prompt)).to(device)[None])
        noise = torch_normals(seed, 0, SETTINGS, device)[None]
        self.scheduler.set_timesteps(sigmas=[1.0], device=device)
        velocity = self.denoiser(noise, layout)
        step = self.scheduler.step(velocity, self.scheduler.timesteps[0], noise)
        pixels = self.decoder(codes, step.prev_sample, layout).cpu().numpy()
        images = [Image.fromarray(picture) for picture in pixels]
        return ImagePipelineOutput(images=images if output_type == "pil" else pixels)


def save(
    folder: Path, vocabulary: Vocabulary, text: TextNetwork, pose: PoseNetwork, posed: PosedNetwork
) -> None:
    """Write a posed family's generator in diffusers' on-disk format into an empty folder."""
    scratch = folder / "vocabulary.json"
    scratch.write_text(vocabulary_json(vocabulary))
    decoder = PosedDecoder(
        posed.width, posed.height, posed.margins, posed.attributes, posed.streams
    )
    pipeline = PosedPipeline(
        AttributeTokenizer(str(scratch)),
        like(AttributeEncoder(*text.embedding.shape), text),
        like(PoseDenoiser(len(pose.centre)), pose),
        FlowMatchEulerDiscreteScheduler(),
        like(decoder, posed),
    )
    scratch.unlink()
    pipeline.save_pretrained(folder)
