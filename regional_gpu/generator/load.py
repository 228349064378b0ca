"""One door for every generator: a checked model folder in, pixels out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kvsync.errors import ModelError
from kvsync.record import PromptRecipe
from regional_gpu.generator.model_folder import (
    CONTENT_PIPELINE,
    FAMILY_PIPELINE,
    POSED_FLOW_PIPELINE,
    POSED_PIPELINE,
    check,
    describe,
    read_json,
)

MASK_SIDE = 96


@dataclass(frozen=True)
class Job:
    """One image to generate: a recipe's settings."""

    prompt: str
    seed: int
    width: int
    height: int
    steps: int
    sampler: str
    guidance: float
    payload: bytes = b""  # what was fitted for one asset, in place of the seed's draw

    @classmethod
    def of(cls, recipe: PromptRecipe) -> "Job":
        return cls(
            recipe.prompt,
            recipe.seed,
            recipe.width,
            recipe.height,
            recipe.steps,
            recipe.sampler,
            recipe.guidance,
            recipe.carried,
        )

    def recipe(self, model: bytes) -> PromptRecipe:
        """The recipe of this job for a model's digest; a fitted one where it has a payload."""
        plain = PromptRecipe(
            model,
            self.prompt,
            self.seed,
            self.width,
            self.height,
            self.steps,
            self.sampler,
            self.guidance,
        )
        return plain.with_payload(self.payload) if self.payload else plain


class Generator(Protocol):
    """A loaded model."""

    digest: bytes  # the model's name, 32 bytes

    @property
    def size_bytes(self) -> int:
        """What the model holds in memory, roughly."""

    def generate(self, jobs: Sequence[Job]) -> list[NDArray[np.uint8]]:
        """8-bit sRGB pixels per job, (height, width, 3), in order.

        Raises InputError for a job that the model cannot do, ModelError when the model is broken.
        """

    def masks(self, prompt: str) -> NDArray[np.uint8]:
        """Where each attribute shows for this prompt, (attributes, 96, 96), 0 to 255.

        (0, 96, 96) when the model carries none. Raises InputError for a prompt it cannot read.
        """


def load(folder: Path, *, expect: bytes | None = None, device: str = "cpu") -> Generator:
    """Load a model folder after checking every file of it.

    ``expect`` is the digest that the model must have. Raises ModelError when the folder is
    missing, changed, malformed, or holds anything that is not allowed.
    """
    manifest = describe(folder)
    digest = manifest.digest
    if expect is not None and digest != expect:
        raise ModelError(f"{folder}: is model {digest.hex()[:16]}, not {expect.hex()[:16]}")
    check(folder, manifest)
    # Imported late: a family model needs no diffusers, whose import takes seconds.
    pipeline = read_json(folder / "model_index.json")["_class_name"]
    if pipeline == CONTENT_PIPELINE:
        from regional_gpu.generator.content_generator import ContentGenerator

        return ContentGenerator(folder, digest, device)
    if pipeline == POSED_PIPELINE:
        from regional_gpu.generator.posed_generator import PosedGenerator

        return PosedGenerator(folder, digest, device)
    if pipeline == POSED_FLOW_PIPELINE:
        from regional_gpu.generator.posed_flow_generator import PosedFlowGenerator

        return PosedFlowGenerator(folder, digest, device)
    if pipeline == FAMILY_PIPELINE:
        from regional_gpu.generator.family_generator import FamilyGenerator

        return FamilyGenerator(folder, digest, device)
    from regional_gpu.generator.any_pipeline import PipelineGenerator

    return PipelineGenerator(folder, digest, device)
