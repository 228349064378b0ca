"""The seed case: 200 million transfers of 50 KB a month, hauled, kept as a replica, rehydrated.

Read as all middle-mile traffic (10 TB) and as total traffic of which caches serve 80 % (2 TB).
How fast this machine generates is measured; prices are the seed book's.
"""

import datetime
from itertools import product

import torch
from rich.console import Console
from rich.table import Table

from bench.gpu import BATCH, MODEL, PROPERTY, SAMPLE, gallery_jobs, images_per_s
from edge.negotiate import choose
from kvsync.property import read_property
from kvsync.rendition import Still
from origin.economics.forecast import (
    MONTH_S,
    USABLE,
    Demand,
    Generator,
    compare,
    least_images_to_rehydrate,
    least_misses_to_rehydrate,
    least_misses_to_replicate,
)
from origin.economics.price_book import Prices, preset
from origin.gallery import Gallery, read_gallery
from regional_gpu.generator.load import load
from regional_gpu.generator.model_folder import describe

# What Chrome sends for an image.
CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
TRANSFERS = 200e6
BYTES = 50e3
PEAK = 5.0
READINGS = {"10 TB": 1.0, "2 TB": 0.2}
REGIONS = 5
DEVICES = ("cpu", "l4", "h200")
RECORD_BYTES = 474.0


def run(full: bool = False) -> dict[str, object]:
    """Measure 5 seconds of generation, or with `full` 30, then work out every cell."""
    console = Console()
    gallery = read_gallery(SAMPLE)
    rate, device = measured_rate(gallery, 30.0 if full else 5.0)
    prices = preset("seed").on(datetime.date.today())
    console.print(_table(gallery, rate, device, prices))
    chosen = Generator("cpu", rate, describe(MODEL).size, RECORD_BYTES)
    demand = _demand(gallery, 1.0, 1, PEAK)
    compared = compare(demand, chosen, prices)
    hosts = chosen.hosts(demand)
    _say(console, demand, chosen, prices)
    return {
        "haul_usd": round(compared.haul, 2),
        "replica_usd": round(compared.replica, 6),
        # Always on, alone; whether one is enough is not known where none is at hand.
        "rehydrate_gpu_usd": round(prices.device("h200") * MONTH_S / 3600, 2),
        "rehydrate_cpu_usd": round(compared.rehydrate, 2),
        "break_even_misses_per_image_month": _rounded(
            least_misses_to_rehydrate(demand, chosen, prices)
        ),
        "hosts_cpu": int(hosts),
        "images_per_s_used": round(rate, 1),
    }


def measured_rate(gallery: Gallery, seconds: float) -> tuple[float, str]:
    """Encoded images a second in the formats that Chrome is given, and the device's price name."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    renditions = read_property(PROPERTY).renditions
    still: Still = choose(renditions, {}, CHROME).rendition
    rate = images_per_s(
        load(MODEL, device=device), gallery_jobs(gallery), BATCH[device], still, seconds
    )
    return rate, "cpu" if device == "cpu" else "h200"


def _demand(gallery: Gallery, share: float, regions: int, peak: float) -> Demand:
    """One region's part of the seed case, of the shipped gallery's number of images."""
    misses = TRANSFERS * share / regions
    return Demand(len(gallery.assets), BYTES, misses, change=0.0, peak=peak)


def _table(gallery: Gallery, rate: float, measured: str, prices: Prices) -> Table:
    """All regions together, a month. A machine that is not at hand is asked for what it must do."""
    table = Table(title=f"Seed case: $ a month, {len(gallery.assets)} images, seed prices")
    for heading in ("middle mile", "regions", "machine", "load", "haul", "replica", "rehydrate"):
        table.add_column(heading, justify="right")
    table.add_column("hosts a region", justify="right")
    table.add_column("cheapest")
    size = describe(MODEL).size
    for (reading, share), regions, device in product(READINGS.items(), (1, REGIONS), DEVICES):
        for shared, peak in product((False, True), (1.0, PEAK)):
            demand = _demand(gallery, share, regions, peak)
            machine = f"{device}, {'shared' if shared else 'alone'}"
            case = (reading, str(regions), machine, f"{peak:g}x")
            if device == measured:
                generator = Generator(device, rate, size, RECORD_BYTES, shared)
                table.add_row(*case, *_compared(demand, generator, prices, regions))
            elif not shared:
                table.add_row(*case, *_unmeasured(demand, device, prices, regions))
    return table


def _compared(demand: Demand, generator: Generator, prices: Prices, regions: int) -> list[str]:
    found = compare(demand, generator, prices)
    costs = [_usd(cost * regions) for cost in (found.haul, found.replica, found.rehydrate)]
    return [*costs, f"{generator.hosts(demand):.3g}", found.cheapest]


def _unmeasured(demand: Demand, device: str, prices: Prices, regions: int) -> list[str]:
    """One machine, always on, and the images a second with which it would be enough."""
    needed = demand.misses / MONTH_S * demand.peak / USABLE
    other = compare(demand, Generator(device, needed, 0.0, 0.0), prices)
    costs = [_usd(cost * regions) for cost in (other.haul, other.replica, other.rehydrate)]
    return [*costs, f"1 if it makes {needed:.0f}/s", other.cheapest]


def _say(console: Console, demand: Demand, generator: Generator, prices: Prices) -> None:
    """Where each way begins to win, of the case that the JSON is about."""
    rehydrates = least_misses_to_rehydrate(demand, generator, prices)
    replicates = least_misses_to_replicate(demand, prices)
    images = least_images_to_rehydrate(demand, generator, prices)
    kept = demand.inventory_bytes / 1e6
    console.print(
        f"{generator.images_per_s:.1f} images/s measured here, in the formats that Chrome is given."
    )
    console.print(
        "Hauling is beaten from "
        f"{_count(rehydrates)} misses per image and month by rehydrating on CPU hosts, from "
        f"{_count(replicates)} by a replica; a replica ({kept:.1f} MB here) is beaten by "
        f"rehydrating from {_count(images)} images on, at these misses in all."
    )


def _usd(cost: float) -> str:
    return f"{cost:,.2f}" if cost >= 0.01 else f"{cost:.5f}"


def _count(value: float | None) -> str:
    if value is None:
        return "no number of"
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
