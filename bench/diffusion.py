"""SD-Turbo at its true sizes, randomly initialised: pictures a second by batch, and how near the
hardware's own ceiling that is. Speed does not depend on weights.

The ceiling is what one large matrix product in the same precision reaches on the same device; the
work of a picture is counted by torch's flop counter over U-Net and decoder. On a CPU true sizes
take too long, so a tiny pipeline of the same classes is timed, and said to be that.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from bench._pipelines import save_pipeline
from regional_gpu.generator import any_pipeline
from regional_gpu.generator.any_pipeline import PipelineGenerator
from regional_gpu.generator.load import Job
from regional_gpu.generator.runtime import processor_name

BATCHES = {"cpu": (1, 2, 4), "cuda": (1, 2, 4, 8, 16, 32, 64)}
CEILING_SIDE = {"cpu": 1_024, "cuda": 8_192}


def run(
    full: bool = False,
    batches: Annotated[str, typer.Option(help="Batch sizes, with commas between.")] = "",
) -> dict[str, object]:
    """Sweep batches for 2 seconds each, or with `full` for 10, eager and compiled."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    sizes = tuple(map(int, batches.split(","))) if batches else BATCHES[device]
    seconds = 10.0 if full else 2.0
    true_sizes = device == "cuda"
    with tempfile.TemporaryDirectory() as scratch:
        folder, side = Path(scratch) / "sd-turbo", 512 if true_sizes else 64
        if true_sizes:
            save_pipeline("sd-turbo at its true size", folder, dtype=torch.float16)
        else:
            save_pipeline("sd-turbo", folder)
        generator = PipelineGenerator(folder, bytes(32), device)
    any_pipeline.MAX_BATCH[device] = max(sizes)
    dtype = next(generator.pipeline.unet.parameters()).dtype
    ceiling = matmul_flops(device, dtype, CEILING_SIDE[device])
    work = flops_of_a_picture(generator, side)
    rows: list[dict[str, object]] = sweep("eager", generator, sizes, side, seconds)
    if true_sizes:
        unet, decoder = generator.pipeline.unet, generator.pipeline.vae.decoder
        generator.pipeline.unet = torch.compile(unet, mode="max-autotune-no-cudagraphs")
        generator.pipeline.vae.decoder = torch.compile(decoder)
        rows += sweep("compiled", generator, sizes, side, seconds)
    best = max(float(str(row["images_per_s"])) for row in rows)
    figures: dict[str, object] = {
        "device": torch.cuda.get_device_name() if device == "cuda" else processor_name(),
        "sizes": "SD-Turbo, 512x512" if true_sizes else f"tiny, {side}x{side}",
        "dtype": str(dtype).removeprefix("torch."),
        "images_per_s": best,
        "tflops_a_picture": round(work / 1e12, 6),
        "ceiling_tflops": round(ceiling / 1e12, 3),
        "share_of_ceiling": round(best * work / ceiling, 4),
        "sweep": rows,
    }
    _print(figures, rows)
    return figures


def sweep(
    how: str, generator: PipelineGenerator, sizes: Sequence[int], side: int, seconds: float
) -> list[dict[str, object]]:
    """Pictures a second through the generator as a region calls it, batch by batch."""
    rows: list[dict[str, object]] = []
    for batch in sizes:
        jobs = [Job("a red shoe", seed, side, side, 1, "Euler", 1.0) for seed in range(batch)]
        generator.generate(jobs)  # compiles, chooses kernels, encodes the prompt
        drawn, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < seconds:
            drawn += len(generator.generate(jobs))
        rows.append({"how": how, "batch": batch, "images_per_s": round(drawn / spent, 2)})
    return rows


def flops_of_a_picture(generator: PipelineGenerator, side: int) -> int:
    """Multiplications and additions of one step, text encoding left out: prompts are kept."""
    job = Job("a red shoe", 0, side, side, 1, "Euler", 1.0)
    generator.generate([job])
    with FlopCounterMode(display=False) as counter:
        generator.generate([job])
    return int(counter.get_total_flops())


def matmul_flops(device: str, dtype: torch.dtype, side: int) -> float:
    """Operations a second of a square matrix product, the best of five."""
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))

    def multiply() -> None:
        for _ in range(4):
            left @ right

    multiply()
    return 4 * 2 * side**3 / min(_seconds(multiply, device) for _ in range(5))


def _seconds(work: Callable[[], None], device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _print(figures: dict[str, object], rows: Sequence[dict[str, object]]) -> None:
    table = Table(title=f"{figures['sizes']} on {figures['device']}, {figures['dtype']}")
    for heading in ("how", "batch", "images_per_s"):
        table.add_column(heading)
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    console = Console()
    console.print(table)
    console.print({name: value for name, value in figures.items() if name != "sweep"})


if __name__ == "__main__":
    typer.run(run)
