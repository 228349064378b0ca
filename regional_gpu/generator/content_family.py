"""A family with content as a diffusers pipeline: the arithmetic of `content_generator`."""

from collections.abc import Sequence
from pathlib import Path

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor

from regional_gpu.generator.content_network import ContentNetwork
from regional_gpu.generator.family import (
    AttributeEncoder,
    AttributeTokenizer,
    encoder_of,
    like,
    tokenizer_of,
)
from regional_gpu.generator.network import TextNetwork
from regional_gpu.generator.prompt_pipeline import PromptPipeline, Said
from regional_gpu.generator.text import Vocabulary


class ContentDecoder(ModelMixin, ContentNetwork, ConfigMixin):  # type: ignore[misc]
    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        width: int,
        height: int,
        components: int,
        stacks: Sequence[Sequence[int]],
        in_inks: bool = False,
    ) -> None:
        ContentNetwork.__init__(self, width, height, components, stacks, in_inks)


class ContentPipeline(PromptPipeline):
    """Prompt to a picture of a family with content, in one step; every seed draws the same."""

    def __init__(
        self, tokenizer: AttributeTokenizer, text_encoder: AttributeEncoder, decoder: ContentDecoder
    ) -> None:
        super().__init__()
        self.register_modules(  # type: ignore[no-untyped-call]
            tokenizer=tokenizer, text_encoder=text_encoder, decoder=decoder
        )

    def draw(self, said: Said, seed: int, steps: int) -> Tensor:
        pixels: Tensor = self.decoder(said.codes, said.layout)
        return pixels


def save(folder: Path, vocabulary: Vocabulary, text: TextNetwork, content: ContentNetwork) -> None:
    """Write a model of a family with content in diffusers' on-disk format into an empty folder."""
    size = (content.width, content.height, content.components)
    decoder = ContentDecoder(*size, content.stacks, content.in_inks)
    pipeline = ContentPipeline(tokenizer_of(vocabulary), encoder_of(text), like(decoder, content))
    pipeline.save_pretrained(folder)
