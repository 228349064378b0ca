"""Pictures a second of the shipped model on whatever device is there, and their cost beside a haul.

Encoding runs on the other cores beside generation, as in a region. The cost is the device's, at the
price given, against the middle mile's price for the gallery's median original.
"""

import os
import platform
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Annotated

import torch
import typer
from rich.console import Console

from bench import diffusion
from kvsync.property import read_property
from kvsync.rendition import Still
from origin.dehydrate import Effort
from origin.gallery import Gallery, read_gallery
from regional_gpu.generator.encode import Encoded, encode
from regional_gpu.generator.load import Generator, Job, load

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "origin/samples/rumba"
MODEL = SAMPLE / "model"
PROPERTY = ROOT / "deploy/properties/rumba.toml"
BATCH = {"cpu": 4, "cuda": 64}


def run(
    full: bool = False,
    dollars_per_hour: Annotated[float, typer.Option(help="The device's price.")] = 3.0,
    dollars_per_gb: Annotated[float, typer.Option(help="The middle mile's price.")] = 0.05,
) -> dict[str, object]:
    """Draw for 3 seconds, or with `full` for 20, without encoding and with each format.

    ``images_per_s_encoded`` and the cost are of JPEG.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    seconds = 20.0 if full else 3.0
    gallery, generator = read_gallery(SAMPLE), load(MODEL, device=device)
    jobs = gallery_jobs(gallery)

    def rate(still: Still | None) -> float:
        generator.generate(list(islice(jobs, BATCH[device])))  # the first batch pays for the start
        return round(images_per_s(generator, jobs, BATCH[device], still, seconds), 1)

    rates = {
        rule.format: rate(Still(rule.format, gallery.width, rule.quality))
        for rule in read_property(PROPERTY).renditions.formats
    }
    original = median(asset.bytes for asset in gallery.assets)
    cost = cost_vs_haul(rates["jpeg"], original, dollars_per_hour, dollars_per_gb)
    figures: dict[str, object] = {
        "device": _name(device),
        "images_per_s": rate(None),
        "images_per_s_encoded": rates["jpeg"],
        "images_per_s_webp": rates["webp"],
        "images_per_s_avif": rates["avif"],
        "cost_vs_haul": round(cost, 3),
        "share_of_ceiling": _share_of_ceiling(device, full),
    }
    Console().print(figures)
    return figures


def _share_of_ceiling(device: str, full: bool) -> object:
    """SD-Turbo's at its true sizes: a family's own picture is a narrow product, bound by memory.

    None without a GPU, where true sizes take too long.
    """
    return diffusion.run(full)["share_of_ceiling"] if device == "cuda" else None


def images_per_s(
    generator: Generator, jobs: Iterator[Job], batch: int, still: Still | None, seconds: float
) -> float:
    """Pictures finished a second; each is encoded as ``still`` unless that is None."""
    drawn, waiting = 0, deque[Future[Encoded]]()
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        start = time.perf_counter()
        while time.perf_counter() - start < seconds:
            pictures = generator.generate(list(islice(jobs, batch)))
            drawn += len(pictures)
            if still is not None:
                waiting.extend(pool.submit(encode, picture, still) for picture in pictures)
            # Two batches ahead of the encoders at most: memory stays flat.
            while len(waiting) > 2 * max(batch, workers):
                waiting.popleft().result()
        for future in waiting:
            future.result()
        return drawn / (time.perf_counter() - start)


def cost_vs_haul(
    images_per_s: float, original_bytes: float, dollars_per_hour: float, dollars_per_gb: float
) -> float:
    """Cost of a generated picture divided by that of hauling its original; below 1 it pays."""
    generated = dollars_per_hour / 3600 / images_per_s
    return generated / (original_bytes / 1e9 * dollars_per_gb)


def gallery_jobs(gallery: Gallery) -> Iterator[Job]:
    """The gallery's prompts, view by view as it lists them, for ever."""
    effort = Effort()
    for asset in cycle(gallery.assets):
        prompt = gallery.prompt(asset.attributes)
        yield Job(
            prompt, 0, gallery.width, gallery.height, effort.steps, effort.sampler, effort.guidance
        )


def _name(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{os.cpu_count()} CPU cores ({platform.machine()}), {torch.get_num_threads()} threads"


if __name__ == "__main__":
    typer.run(run)
