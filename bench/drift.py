"""How far the same recipe's pictures drift apart when they are computed in another way.

Every variant runs in a process of its own and is compared with float32 on one CPU thread, batch 1:
PSNR, SSIMULACRA2, the largest difference of any channel of any pixel, and the distance to the
baseline's fingerprint, which decides whether a region would serve the picture. CUDA variants
are measured where there is a CUDA device. docs/determinism.md shows the table.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from bench._pipelines import save_pipeline
from bench._variants import Pixels, Recipe, Variant, draw
from kvsync.errors import ModelError
from origin.gallery import read_gallery
from regional_gpu.generator.fingerprint import compare, fingerprint
from regional_gpu.generator.load import Generator, load
from regional_gpu.generator.runtime import processor_name
from regional_gpu.generator.score import ssimulacra2

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "origin/samples/rumba"
BASELINE = Variant("float32, 1 thread, batch 1")
SIDE = 256
PROMPTS = ("a red shoe", "a blue hat on a chair", "two green cups", "a small grey cat")


@dataclass(frozen=True)
class Drift:
    """One variant against the baseline, over all pictures; ``psnr_db`` is None when equal."""

    variant: str
    pictures: int
    psnr_db: float | None
    ssimulacra2: float
    largest: int
    changed: float
    distance: float
    failed: str = ""

    @property
    def accepted(self) -> bool:
        return not self.failed and self.distance <= 1.0


def run(
    full: bool = False,
    model: Annotated[Path, typer.Option(help="A family's model folder.")] = SAMPLE / "model",
    gallery: Annotated[Path, typer.Option(help="Its gallery, for the prompts.")] = SAMPLE,
) -> dict[str, object]:
    """Four prompts each of a family and of a small diffusion pipeline; `full` draws sixteen."""
    count = 16 if full else 4
    with tempfile.TemporaryDirectory() as scratch:
        diffusion = save_pipeline("sd", Path(scratch) / "sd")
        rows = {
            "family": measure(model, family_recipes(gallery, count), Path(scratch)),
            "diffusion": measure(diffusion, diffusion_recipes(count), Path(scratch)),
        }
    figures: dict[str, object] = {"machine": machine()}
    for name, drifts in rows.items():
        _print(name, drifts)
        figures[name] = [vars(one) | {"accepted": one.accepted} for one in drifts]
    measured = [one for drifts in rows.values() for one in drifts if not one.failed]
    figures["variants"] = len(measured)
    figures["accepted"] = sum(one.accepted for one in measured)
    figures["largest_distance"] = max(one.distance for one in measured)
    Console().print({name: figures[name] for name in ("machine", "variants", "accepted")})
    return figures


def family_recipes(gallery: Path, count: int) -> list[Recipe]:
    """Prompts spread over a gallery."""
    found = read_gallery(gallery)
    assets = found.assets[:: max(1, len(found.assets) // count)][:count]
    if found.width != found.height:
        raise ModelError(f"{gallery}: bench drift draws square pictures only")
    return [
        Recipe(found.prompt(asset.attributes), 0, found.width, 1, "Euler", 1.0) for asset in assets
    ]


def diffusion_recipes(count: int) -> list[Recipe]:
    """Four steps of ancestral Euler, with guidance: noise at every step, and room to drift."""
    return [
        Recipe(PROMPTS[seed % len(PROMPTS)], seed, SIDE, 4, "Euler a", 3.0) for seed in range(count)
    ]


def variants() -> Iterator[Variant]:
    """Everything that this machine can vary, one thing at a time."""
    yield Variant("again, the same way")
    if (os.cpu_count() or 1) > 1:
        yield Variant(f"{os.cpu_count()} threads", threads=os.cpu_count() or 1)
    yield Variant("batch 4", batch=4)
    # "default" has no vector instructions beyond SSE2.
    for level in ("default", "avx2", "avx512"):
        yield Variant(f"ATen {level}", environment={"ATEN_CPU_CAPABILITY": level})
    for isa in ("SSE41", "AVX2", "AVX512_CORE"):
        yield Variant(f"oneDNN {isa}", environment={"ONEDNN_MAX_CPU_ISA": isa})
    numpy = {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3"}
    yield Variant("NumPy without AVX2", environment=numpy)
    if shutil.which("g++"):
        yield Variant("compiled", compiled=True)
    yield Variant("bfloat16", dtype="bfloat16")
    yield Variant("float16", dtype="float16")
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        for dtype in ("float32", "tf32", "bfloat16", "float16"):
            yield Variant(f"{name}, {dtype}", device="cuda", dtype=dtype)
        yield Variant(f"{name}, float32, batch 4", device="cuda", batch=4)
        yield Variant(f"{name}, float16, batch 4", device="cuda", dtype="float16", batch=4)
        yield Variant(f"{name}, float32, compiled", device="cuda", compiled=True)


def measure(model: Path, recipes: Sequence[Recipe], scratch: Path) -> list[Drift]:
    """Every variant's drift from the baseline."""
    generator = load(model)
    baseline = draw(model, BASELINE, recipes, scratch / "baseline.npz")
    if isinstance(baseline, str):
        raise ModelError(f"{model}: the baseline cannot be drawn ({baseline})")
    drifts = []
    for variant in variants():
        found = draw(model, variant, recipes, scratch / "variant.npz")
        if isinstance(found, str):
            drifts.append(Drift(variant.name, 0, None, 0.0, 0, 0.0, 0.0, found))
            continue
        drifts.append(compared(variant.name, generator, recipes, baseline, found))
    return drifts


def compared(
    name: str,
    generator: Generator,
    recipes: Sequence[Recipe],
    baseline: Sequence[Pixels],
    found: Sequence[Pixels],
) -> Drift:
    """Pooled over pictures: PSNR of all pixels, the worst of the rest; SSIMULACRA2's median."""
    offs = [np.abs(a.astype(np.int16) - b) for a, b in zip(baseline, found, strict=True)]
    together = np.concatenate([off.ravel() for off in offs])
    error = float(np.square(together.astype(np.float64)).mean())
    scores, distances = [], []
    for recipe, before, after in zip(recipes, baseline, found, strict=True):
        masks = generator.masks(recipe.prompt)
        distances.append(compare(after, masks, fingerprint(before, masks)).distance)
        scores.append(ssimulacra2(before, after))
    return Drift(
        variant=name,
        pictures=len(found),
        psnr_db=round(10 * float(np.log10(255**2 / error)), 1) if error else None,
        ssimulacra2=round(median(scores), 2),
        largest=int(together.max()),
        changed=round(float((together > 0).mean()), 5),
        distance=round(max(distances), 3),
    )


def machine() -> str:
    return f"{processor_name()}, torch {torch.__version__}" + (
        f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    )


def _print(title: str, drifts: Sequence[Drift]) -> None:
    table = Table(title=f"{title}: drift from {BASELINE.name}")
    headings = ("variant", "PSNR dB", "SSIMULACRA2", "largest", "changed", "distance", "accepted")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "variant" else "right")
    for one in drifts:
        if one.failed:
            table.add_row(one.variant, "-", "-", "-", "-", "-", one.failed[:60])
            continue
        table.add_row(
            one.variant,
            "same bits" if one.psnr_db is None else f"{one.psnr_db:.1f}",
            f"{one.ssimulacra2:.2f}",
            str(one.largest),
            f"{one.changed:.3%}",
            f"{one.distance:.3f}",
            "yes" if one.accepted else "[red]no[/]",
        )
    Console().print(table)


if __name__ == "__main__":
    typer.run(run)
