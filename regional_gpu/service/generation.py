"""The one door to the generator library, which brings torch: imported when first walked through."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from regional_gpu.generator.load import Generator

Pixels = NDArray[np.uint8]


def load_generator(folder: Path, digest: bytes, device: str) -> "Generator":
    """The generator in a model folder; :class:`ModelError` when it is damaged or not allowed."""
    from regional_gpu.generator.load import load

    return load(folder, expect=digest, device=device)


def set_threads(threads: int) -> None:
    """How many cores this thread's generations may use; 0 leaves the choice to torch."""
    import torch

    if threads:
        torch.set_num_threads(threads)


def generate(
    generator: "Generator", recipes: Sequence[PromptRecipe]
) -> list[Pixels | RehydrationError]:
    """One batch; each picture is (height, width, 3) sRGB, or the error that is its own fault.

    A recipe that the model refuses does not take the others of its batch down with it.
    """
    from regional_gpu.generator.load import Job

    try:
        return list(generator.generate([Job.of(recipe) for recipe in recipes]))
    except RehydrationError as error:
        if len(recipes) == 1:
            return [_fault(error)]
        return [found for recipe in recipes for found in generate(generator, [recipe])]


def check(pixels: Pixels, generator: "Generator", record: Record) -> None:
    """:class:`FingerprintMismatch` unless ``pixels`` are what the record's approver saw."""
    from regional_gpu.generator.fingerprint import compare

    recipe = record.body.recipe
    found = compare(pixels, generator.masks(recipe.prompt), record.body.checks[0].digest)
    if not found.matches:
        raise FingerprintMismatch(
            f"model {recipe.model.hex()[:8]} did not make the approved image of "
            f"{record.body.key.hex()}: {found.worst} is off by {found.distance:.2f} tolerances"
        )


def _fault(error: RehydrationError) -> RehydrationError:
    """A validly signed recipe that its model refuses is the record's fault."""
    if isinstance(error, InputError) and not isinstance(error, ModelError):
        return MalformedRecord(f"the model refuses the recipe: {error}")
    return error
