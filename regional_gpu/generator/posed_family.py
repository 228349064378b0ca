"""A posed family's generator as a diffusers pipeline: the arithmetic of `posed_generator`."""

from collections.abc import Sequence
from pathlib import Path

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.schedulers.scheduling_flow_match_euler_discrete import (
    FlowMatchEulerDiscreteScheduler,
)
from torch import Tensor

from regional_gpu.generator.family import (
    AttributeEncoder,
    AttributeTokenizer,
    encoder_of,
    like,
    tokenizer_of,
)
from regional_gpu.generator.network import TextNetwork
from regional_gpu.generator.posed_network import PosedNetwork, PoseNetwork
from regional_gpu.generator.prompt_pipeline import PromptPipeline, Said
from regional_gpu.generator.shots import SETTINGS
from regional_gpu.generator.text import Vocabulary


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


class PosedPipeline(PromptPipeline):
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

    def draw(self, said: Said, seed: int, steps: int) -> Tensor:
        def velocity(noise: Tensor, _: Tensor) -> Tensor:
            moved: Tensor = self.denoiser(noise, said.layout)
            return moved

        settings = self.walk(velocity, self.noise(seed, SETTINGS), steps)
        pixels: Tensor = self.decoder(said.codes, settings, said.layout)
        return pixels


def save(
    folder: Path, vocabulary: Vocabulary, text: TextNetwork, pose: PoseNetwork, posed: PosedNetwork
) -> None:
    """Write a posed family's generator in diffusers' on-disk format into an empty folder."""
    pipeline = PosedPipeline(
        tokenizer_of(vocabulary),
        encoder_of(text),
        denoiser_of(pose),
        FlowMatchEulerDiscreteScheduler(),
        decoder_of(posed),
    )
    pipeline.save_pretrained(folder)


def denoiser_of(pose: PoseNetwork) -> PoseDenoiser:
    """The denoiser with the weights of ``pose``."""
    denoiser: PoseDenoiser = like(PoseDenoiser(len(pose.centre)), pose)
    return denoiser


def decoder_of(posed: PosedNetwork) -> PosedDecoder:
    """The decoder with the pictures of ``posed``."""
    sizes = posed.width, posed.height, posed.margins, posed.attributes, posed.streams
    decoder: PosedDecoder = like(PosedDecoder(*sizes), posed)
    return decoder
