"""A small family with content: signs of several shapes, each in several paints."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIDE = 96
SHAPES = ("ring", "bar", "corner", "cross", "dot", "stripe")
# Each colour moves two series: the ground, and a rim of its own.
PAINTS = {
    "red": ((200, 40, 40), (90, 10, 20)),
    "green": ((60, 160, 70), (20, 70, 60)),
    "blue": ((50, 80, 190), (60, 20, 110)),
    "sand": ((220, 200, 150), (150, 110, 40)),
}
UNSEEN = {("ring", "blue"), ("dot", "red"), ("cross", "sand")}


def picture(shape: str, paint: str, *, shaded: bool = False) -> NDArray[np.uint8]:
    """A sign, (96, 96, 3); ``shaded`` as no drawing in a few inks is."""
    ground, rim = PAINTS[paint]
    image = Image.new("RGB", (192, 192), "white")
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((16, 16, 175, 175), 30, fill=ground, outline=rim, width=10)
    match shape:
        case "ring":
            pen.ellipse((60, 60, 130, 130), outline="white", width=16)
        case "bar":
            pen.rectangle((50, 85, 140, 105), fill="white")
        case "corner":
            pen.polygon([(50, 50), (120, 50), (50, 120)], fill="white")
        case "cross":
            pen.line((50, 50, 140, 140), fill="white", width=14)
            pen.line((140, 50, 50, 140), fill="white", width=14)
        case "dot":
            pen.ellipse((80, 80, 115, 115), fill="white")
        case _:
            pen.rectangle((85, 40, 105, 150), fill=rim)
    small = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX))
    if not shaded:
        return small
    down, across = np.mgrid[:SIDE, :SIDE] / SIDE
    light = 0.75 + 0.15 * np.sin(5 * down + 3 * across) + 0.1 * np.cos(7 * across)
    return np.asarray(np.rint(small * light[..., None]), np.uint8)


def write_gallery(folder: Path, *, shaded: bool = False) -> Path:
    """All signs but those of `UNSEEN`, with their manifest, in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    assets = []
    for shape in SHAPES:
        for paint in PAINTS:
            if (shape, paint) not in UNSEEN:
                file = f"{shape}-{paint}.png"
                Image.fromarray(picture(shape, paint, shaded=shaded)).save(folder / file)
                size = (folder / file).stat().st_size
                attributes = {"shape": shape, "paint": paint}
                assets.append({"file": file, "attributes": attributes, "bytes": size})
    (folder / "manifest.json").write_text(json.dumps({"family": "signs", "assets": assets}))
    return folder
