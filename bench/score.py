"""The fast SSIMULACRA2 beside the `ssimulacra2` package: same scores, and how much sooner."""

import time
from io import BytesIO
from pathlib import Path
from statistics import median

import torch
import typer
from PIL import Image
from rich.console import Console
from rich.table import Table
from ssimulacra2 import compute_ssimulacra2

from regional_gpu.generator.encode import decode, encode_as
from regional_gpu.generator.score import ssimulacra2

MASTERS = Path(__file__).resolve().parent.parent / "origin/samples/rumba/masters"
DAMAGES = [("jpeg", 95), ("jpeg", 75), ("webp", 90), ("avif", 60)]


def run(full: bool = False) -> dict[str, object]:
    """Three masters, or with `full` all twelve, each encoded in four ways, on one core."""
    torch.set_num_threads(1)
    table = Table(title="SSIMULACRA2 of 768x768 pairs, one core")
    for heading in ("master", "encoded", "package", "ours", "package s", "ours s"):
        table.add_column(heading)
    differences, package_s, ours_s = [], [], []
    for path in sorted(MASTERS.glob("*.png"))[:: 1 if full else 4]:
        master = decode(path.read_bytes())
        ssimulacra2(master, master)  # the first call pays for torch's own start
        for form, quality in DAMAGES:
            file = BytesIO(encode_as(Image.fromarray(master), form, quality, {}).data)
            start = time.thread_time()
            expected = compute_ssimulacra2(path, file)
            middle = time.thread_time()
            score = ssimulacra2(master, decode(file.getvalue()))
            package_s.append(middle - start)
            ours_s.append(time.thread_time() - middle)
            differences.append(abs(score - float(expected)))
            times = (f"{package_s[-1]:.2f}", f"{ours_s[-1]:.3f}")
            scores = (f"{expected:.3f}", f"{score:.3f}")
            table.add_row(path.stem, f"{form} q{quality}", *scores, *times)
    figures: dict[str, object] = {
        "pairs": len(differences),
        "largest_difference": round(max(differences), 4),
        "package_s": round(median(package_s), 3),
        "ours_s": round(median(ours_s), 3),
        "times_faster": round(median(package_s) / median(ours_s), 1),
    }
    console = Console()
    console.print(table)
    console.print(figures)
    return figures


if __name__ == "__main__":
    typer.run(run)
