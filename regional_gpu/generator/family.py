"""The family generator as a diffusers pipeline: the same arithmetic behind diffusers' own door.

`FamilyPipeline.from_pretrained(folder)` and `load.load(folder)` read one folder and give the same
pixels; a test holds them to it. The second is what regions use, as importing diffusers takes
seconds.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.schedulers.scheduling_flow_match_euler_discrete import (
    FlowMatchEulerDiscreteScheduler,
)
from torch import Tensor
from transformers import PreTrainedTokenizer

from regional_gpu.generator.network import (
    BasisNetwork,
    CoefficientNetwork,
    TextNetwork,
    by_channel,
)
from regional_gpu.generator.prompt_pipeline import PromptPipeline, Said
from regional_gpu.generator.text import Vocabulary, read_vocabulary, vocabulary_json

Wrapped = TypeVar("Wrapped", bound=torch.nn.Module)


class AttributeTokenizer(PreTrainedTokenizer):
    """Sentences over the family's attributes to one token per attribute."""

    vocab_files_names = {"vocabulary_file": "vocabulary.json"}
    model_input_names = ["input_ids"]

    def __init__(self, vocabulary_file: str, **kwargs: Any) -> None:
        self.vocabulary = read_vocabulary(Path(vocabulary_file))
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]

    @property
    def vocab_size(self) -> int:
        return len(self.vocabulary.tokens)

    def get_vocab(self) -> dict[str, int]:
        return {f"{name}={value}": at for (name, value), at in self.vocabulary.tokens.items()}

    def __call__(self, text: str | Sequence[str], **_: Any) -> dict[str, list[list[int]]]:
        """One prompt or several to {"input_ids": token ids per prompt}. Raises InputError."""
        prompts = [text] if isinstance(text, str) else text
        return {"input_ids": [self.vocabulary.encode(prompt) for prompt in prompts]}

    def save_vocabulary(
        self, save_directory: str, filename_prefix: str | None = None
    ) -> tuple[str, ...]:
        name = (filename_prefix + "-" if filename_prefix else "") + "vocabulary.json"
        path = Path(save_directory, name)
        path.write_text(vocabulary_json(self.vocabulary))
        return (str(path),)


class AttributeEncoder(ModelMixin, TextNetwork, ConfigMixin):  # type: ignore[misc]
    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, tokens: int, width: int) -> None:
        TextNetwork.__init__(self, tokens, width)


class CoefficientDenoiser(ModelMixin, CoefficientNetwork, ConfigMixin):  # type: ignore[misc]
    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, layouts: int, components: int) -> None:
        CoefficientNetwork.__init__(self, layouts, components)


class BasisDecoder(ModelMixin, BasisNetwork, ConfigMixin):  # type: ignore[misc]
    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self, width: int, height: int, components: int, linear: bool, streams: Sequence[int]
    ) -> None:
        BasisNetwork.__init__(self, width, height, components, linear, streams)


class FamilyPipeline(PromptPipeline):
    """Prompt and seed to a picture of one product family, in one step."""

    def __init__(
        self,
        tokenizer: AttributeTokenizer,
        text_encoder: AttributeEncoder,
        denoiser: CoefficientDenoiser,
        scheduler: FlowMatchEulerDiscreteScheduler,
        decoder: BasisDecoder,
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
            moved: Tensor = self.denoiser(noise, said.codes, said.layout)
            return moved

        noise = by_channel(self.noise(seed, self.denoiser.components))
        pixels: Tensor = self.decoder(self.walk(velocity, noise, steps), said.layout)
        return pixels


def save(
    folder: Path,
    vocabulary: Vocabulary,
    text: TextNetwork,
    coefficients: CoefficientNetwork,
    basis: BasisNetwork,
) -> None:
    """Write a family generator in diffusers' on-disk format into an empty folder."""
    decoder = BasisDecoder(basis.width, basis.height, basis.components, basis.linear, basis.streams)
    pipeline = FamilyPipeline(
        tokenizer_of(vocabulary),
        encoder_of(text),
        like(CoefficientDenoiser(*coefficients.spread.shape), coefficients),
        FlowMatchEulerDiscreteScheduler(),
        like(decoder, basis),
    )
    pipeline.save_pretrained(folder)


def tokenizer_of(vocabulary: Vocabulary) -> AttributeTokenizer:
    """The tokenizer of a vocabulary; it reads files only, and keeps what it read."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "vocabulary.json")
        path.write_text(vocabulary_json(vocabulary))
        return AttributeTokenizer(str(path))


def encoder_of(text: TextNetwork) -> AttributeEncoder:
    """The encoder with the weights of ``text``."""
    encoder: AttributeEncoder = like(AttributeEncoder(*text.embedding.shape), text)
    return encoder


def like(wrapped: Wrapped, plain: torch.nn.Module) -> Wrapped:
    """``wrapped`` with the weights of ``plain``."""
    wrapped.load_state_dict(plain.state_dict())
    return wrapped
