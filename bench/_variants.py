"""Ways to compute the same pictures, each run in a process of its own: `bench drift`.

As a program it draws one variant's pictures: a JSON plan on standard input, an .npz as output.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kvsync.errors import InputError
from regional_gpu.generator.load import Generator, Job, load

ROOT = Path(__file__).resolve().parent.parent
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Variant:
    """One way to compute. ``dtype`` is float32, tf32, bfloat16 or float16; ``environment`` is
    set before torch starts, which is when it chooses its kernels."""

    name: str
    device: str = "cpu"
    dtype: str = "float32"
    batch: int = 1
    threads: int = 1
    compiled: bool = False
    environment: dict[str, str] = field(default_factory=dict)


class Recipe(msgspec.Struct, frozen=True):
    """What is drawn: prompt and seed, at one size and schedule."""

    prompt: str
    seed: int
    side: int
    steps: int
    sampler: str
    guidance: float


class Plan(msgspec.Struct, frozen=True):
    model: str
    variant: Variant
    recipes: tuple[Recipe, ...]
    out: str


def draw(model: Path, variant: Variant, recipes: Sequence[Recipe], out: Path) -> list[Pixels] | str:
    """A variant's pictures, (height, width, 3) each, or the line that says why there are none."""
    plan = Plan(str(model), variant, tuple(recipes), str(out))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variant.environment}
    done = subprocess.run(
        [sys.executable, "-m", "bench._variants"],
        input=msgspec.json.encode(plan),
        env=environment,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode < 0:
        return f"ended by {signal.Signals(-done.returncode).name}"
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else f"exit code {done.returncode}"
    with np.load(out) as found:
        return [found[name] for name in found.files]


def _draw_here(plan: Plan) -> list[Pixels]:
    import torch

    from regional_gpu.generator import any_pipeline

    variant = plan.variant
    torch.set_num_threads(variant.threads)
    tf32 = variant.dtype == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    any_pipeline.MAX_BATCH[torch.device(variant.device).type] = variant.batch
    generator = load(Path(plan.model), device=variant.device)
    half = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(variant.dtype)
    context: Any = nullcontext()
    if isinstance(generator, any_pipeline.PipelineGenerator):
        generator.pipeline.to(dtype=half or torch.float32)
    elif half is not None:
        context = torch.autocast(variant.device, dtype=half)
    if variant.compiled:
        _compile(generator)
    jobs = [
        Job(one.prompt, one.seed, one.side, one.side, one.steps, one.sampler, one.guidance)
        for one in plan.recipes
    ]
    pictures: list[Pixels] = []
    with context:
        for start in range(0, len(jobs), variant.batch):
            pictures += generator.generate(jobs[start : start + variant.batch])
    return pictures


def _compile(generator: Generator) -> None:
    import torch

    from regional_gpu.generator.any_pipeline import PipelineGenerator
    from regional_gpu.generator.family_generator import FamilyGenerator

    if isinstance(generator, PipelineGenerator):
        generator.pipeline.unet = torch.compile(generator.pipeline.unet)
        generator.pipeline.vae.decoder = torch.compile(generator.pipeline.vae.decoder)
    elif isinstance(generator, FamilyGenerator):
        for layer in generator.basis.layers:
            setattr(layer, "draw", torch.compile(layer.draw))  # noqa: B010
    else:
        raise InputError("this model has no parts that are known to compile")


if __name__ == "__main__":
    told = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    np.savez(told.out, *_draw_here(told))
