"""The contact sheet of a trial: one HTML file with originals beside what the model drew."""

import base64
from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kvsync.files import write_file
from origin.try_measure import Compared
from origin.try_report import Answer

QUALITY: Final = 95
MOST: Final = 12
"""Pictures of each kind on the sheet, the worst among them."""

STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1560px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.3rem; font-weight: 600; max-width: 60rem }
table { border-spacing: 0 .2rem } th { text-align: left; vertical-align: top; padding-right: 1.5rem;
  font-weight: 600; white-space: nowrap }
figure { margin: 1.5rem 0; display: grid; grid-template-columns: 1fr 1fr; gap: 2px }
figure img { width: 100%; height: auto; display: block; grid-row: 1 }
figcaption { grid-column: 1 / 3 } .flick { position: relative }
.flick img + img { position: absolute; inset: 0; opacity: 0 } .flick:hover img + img { opacity: 1 }
"""
EXPLAINED: Final = (
    "<p>Left the original, right what the model drew from what is below it; point at the right "
    "one to see the original in its place.</p>"
)


def write_try_sheet(out: Path, title: str, found: Answer, compared: Sequence[Compared]) -> None:
    """Write the answer, then the pictures, the worst of each kind first."""
    rows = "".join(
        f"<tr><th>{escape(heading)}</th><td>{escape(text)}</td></tr>"
        for heading, text in found.rows
    )
    sections = "".join(
        _section(heading, [one for one in compared if one.unseen == unseen])
        for unseen, heading in (
            (True, "Combinations that training never saw"),
            (False, "Pictures that it was trained on"),
        )
    )
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}'
        f"</title><style>{STYLE}</style></head><body>"
        f"<h1>{escape(title)}: {escape(found.headline)}</h1><table>{rows}</table>"
        f"{EXPLAINED if compared else ''}{sections}</body></html>\n"
    )
    write_file(out, page.encode())


def _section(heading: str, compared: Sequence[Compared]) -> str:
    if not compared:
        return ""
    worst_first = sorted(compared, key=lambda one: one.score)
    step = max(1, len(worst_first) // MOST)
    figures = "".join(_figure(one) for one in worst_first[::step][:MOST])
    return f"<h2>{heading}</h2>{figures}"


def _figure(one: Compared) -> str:
    original, generated = _image(one.original), _image(one.generated)
    shot = f" and {one.payload_bytes} bytes of place and light" if one.payload_bytes else ""
    said = f"{one.file}: “{one.prompt}”{shot}, SSIMULACRA2 {one.score:.1f}"
    return (
        f'<figure><img alt="original" src="{original}"><div class="flick">'
        f'<img alt="drawn" src="{generated}"><img alt="" src="{original}"></div>'
        f"<figcaption>{escape(said)}</figcaption></figure>"
    )


def _image(pixels: NDArray[np.uint8]) -> str:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY, subsampling="4:4:4")
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
