"""The one door to the generator library. Torch, which takes seconds, comes with the first model
or with :func:`set_threads`, never with an import."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kvsync.errors import (
    FingerprintMismatch,
    InputError,
    MalformedRecord,
    ModelError,
    RehydrationError,
)
from kvsync.record import PromptRecipe, Record
from regional_gpu.generator.delivered import compare_delivered
from regional_gpu.generator.fingerprint import Comparison, compare
from regional_gpu.generator.load import Generator, Job, load
from regional_gpu.generator.model_folder import describe

Pixels = NDArray[np.uint8]


class Load(Protocol):
    """Reads a model folder that must be the one its digest (32 bytes) names."""

    def __call__(self, folder: Path, digest: bytes, device: str) -> Generator: ...


class Generate(Protocol):
    """Makes one batch: a picture or an error for each recipe, in order."""

    def __call__(
        self, generator: Generator, recipes: Sequence[PromptRecipe]
    ) -> list[Pixels | RehydrationError]: ...


def load_generator(folder: Path, digest: bytes, device: str) -> Generator:
    """The generator in a model folder; :class:`ModelError` when it is damaged or not allowed."""
    return load(folder, expect=digest, device=device)


def is_whole(folder: Path, digest: bytes) -> bool:
    """Whether a folder holds exactly the files that the digest names."""
    try:
        return describe(folder).digest == digest
    except ModelError:
        return False


def set_threads(threads: int) -> None:
    """How many cores this thread's generations may use; 0 leaves the choice to torch."""
    import torch

    if threads:
        torch.set_num_threads(threads)


def generate(
    generator: Generator, recipes: Sequence[PromptRecipe]
) -> list[Pixels | RehydrationError]:
    """One batch; each picture is (height, width, 3) sRGB, or the error that is its own fault.

    A recipe that the model refuses does not take the others of its batch down with it.
    """
    try:
        return list(generator.generate([Job.of(recipe) for recipe in recipes]))
    except RehydrationError as error:
        if len(recipes) == 1:
            return [_fault(error)]
        return [found for recipe in recipes for found in generate(generator, [recipe])]


def compared(pixels: Pixels, generator: Generator, record: Record) -> Comparison:
    """How far ``pixels`` are from what the record's approver saw."""
    masks = generator.masks(record.body.recipe.prompt)
    return compare(pixels, masks, record.body.checks[0].digest)


def check(pixels: Pixels, generator: Generator, record: Record) -> None:
    """:class:`FingerprintMismatch` unless ``pixels`` are what the record's approver saw."""
    found = compared(pixels, generator, record)
    if not found.matches:
        recipe = record.body.recipe
        raise FingerprintMismatch(
            f"model {recipe.model.hex()[:8]} did not make the approved image of "
            f"{record.body.key.hex()}: {found.worst} is off by {found.distance:.2f} tolerances"
        )


def check_delivered(data: bytes, pixels: Pixels, generator: Generator, record: Record) -> None:
    """:class:`FingerprintMismatch` unless a file of the checked ``pixels`` decodes to them."""
    recipe = record.body.recipe
    masks = generator.masks(recipe.prompt)
    found = compare_delivered(data, pixels, masks, record.body.checks[0].digest)
    if not found.matches:
        raise FingerprintMismatch(
            f"model {recipe.model.hex()[:8]} made the approved image of {record.body.key.hex()}, "
            f"its encoded file is not: {found.worst} is off by {found.distance:.2f} tolerances"
        )


def _fault(error: RehydrationError) -> RehydrationError:
    """A validly signed recipe that its model refuses is the record's fault."""
    if isinstance(error, InputError) and not isinstance(error, ModelError):
        return MalformedRecord(f"the model refuses the recipe: {error}")
    return error
