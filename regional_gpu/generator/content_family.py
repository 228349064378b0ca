"""A family with content as a diffusers pipeline: the arithmetic of `content_generator`."""

from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.pipelines.pipeline_utils import DiffusionPipeline, ImagePipelineOutput
from PIL import Image

from kvsync.errors import InputError
from regional_gpu.generator.content_network import ContentNetwork
from regional_gpu.generator.family import AttributeEncoder, AttributeTokenizer, like
from regional_gpu.generator.network import TextNetwork
from regional_gpu.generator.text import Vocabulary, vocabulary_json


class ContentDecoder(ModelMixin, ContentNetwork, ConfigMixin):  # type: ignore[misc]
    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self, width: int, height: int, components: int, stacks: Sequence[Sequence[int]]
    ) -> None:
        ContentNetwork.__init__(self, width, height, components, stacks)


class ContentPipeline(DiffusionPipeline):
    """Prompt to a picture of a family with content, in one step and without noise."""

    def __init__(
        self, tokenizer: AttributeTokenizer, text_encoder: AttributeEncoder, decoder: ContentDecoder
    ) -> None:
        super().__init__()
        self.register_modules(  # type: ignore[no-untyped-call]
            tokenizer=tokenizer, text_encoder=text_encoder, decoder=decoder
        )

    @torch.inference_mode()
    def __call__(self, prompt: str, output_type: str = "pil") -> ImagePipelineOutput:
        """One image for ``prompt``."""
        if output_type not in {"pil", "np"}:
            raise InputError(f"output_type {output_type!r}: 'pil' or 'np'")
        vocabulary: Vocabulary = self.tokenizer.vocabulary
        weights = torch.from_numpy(vocabulary.weights(prompt)).to(self.decoder.device)[None]
        codes = self.text_encoder(weights)
        pixels = self.decoder(codes, vocabulary.layout(prompt)).cpu().numpy()
        images = [Image.fromarray(picture) for picture in pixels]
        return ImagePipelineOutput(images=images if output_type == "pil" else pixels)


def save(folder: Path, vocabulary: Vocabulary, text: TextNetwork, content: ContentNetwork) -> None:
    """Write a model of a family with content in diffusers' on-disk format into an empty folder."""
    scratch = folder / "vocabulary.json"
    scratch.write_text(vocabulary_json(vocabulary))
    decoder = ContentDecoder(content.width, content.height, content.components, content.stacks)
    pipeline = ContentPipeline(
        AttributeTokenizer(str(scratch)),
        like(AttributeEncoder(*text.embedding.shape), text),
        like(decoder, content),
    )
    scratch.unlink()
    pipeline.save_pretrained(folder)
