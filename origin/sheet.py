"""A contact sheet for a person's eyes: original, generated, amplified difference, and scores."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from kvsync.files import write_file
from origin.qa import recipe_of
from origin.site import Site
from origin.tables import CandidateRow
from regional_gpu.generator.encode import decode
from regional_gpu.generator.load import Generator, Job

AMPLIFY: Final = 8
CELL: Final = 384
CAPTION: Final = 34
GAP: Final = 8

Pixels = NDArray[np.uint8]


def write_sheet(
    site: Site, candidates: Sequence[CandidateRow], generator: Generator, out: Path
) -> None:
    """One row of three pictures for each candidate, as PNG."""
    tall = CELL + CAPTION
    sheet = Image.new("RGB", (3 * CELL + 4 * GAP, len(candidates) * (tall + GAP) + GAP), "white")
    for at, candidate in enumerate(candidates):
        original = decode(site.dam.open(site.name_of(site.request(candidate.asset.path)))[1])
        (generated,) = generator.generate([Job.of(recipe_of(candidate))])
        top = GAP + at * (tall + GAP)
        for column, pixels in enumerate((original, generated, amplified(original, generated))):
            picture = Image.fromarray(pixels).resize((CELL, CELL), Image.Resampling.LANCZOS)
            sheet.paste(picture, (GAP + column * (CELL + GAP), top))
        _write(sheet, (GAP, top + CELL + 6), caption(candidate))
    buffer = BytesIO()
    sheet.save(buffer, "PNG")
    write_file(out, buffer.getvalue())


def amplified(original: Pixels, generated: Pixels) -> Pixels:
    """The signed difference, eight times, around mid-grey."""
    difference = generated.astype(np.int16) - original
    return np.asarray((128 + AMPLIFY * difference).clip(0, 255), np.uint8)


def caption(candidate: CandidateRow) -> str:
    return (
        f"{candidate.asset.path}   SSIMULACRA2 {candidate.ssimulacra2:.1f}   "
        f"CIEDE2000 {candidate.delta_e:.2f}   PSNR {candidate.psnr:.1f} dB   "
        f"seed {recipe_of(candidate).seed}   {candidate.state} {candidate.reason}"
    )


def _write(sheet: Image.Image, where: tuple[int, int], text: str) -> None:
    ImageDraw.Draw(sheet).text(where, text, "black", ImageFont.load_default(16))
