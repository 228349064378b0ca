"""Builds the two shipped families with content from ordinary packages of drawings.

`bench/families/icons`: a motif in white on a tile whose gradient and rim are of one colour.
`bench/families/figures`: trade, gender and skin tone. Beside each lies a folder of combinations
that the gallery lacks. Needs `npm` and `rsvg-convert`; versions are pinned.
"""

import io
import json
import random
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from PIL import Image

FAMILIES = Path(__file__).resolve().parent / "families"
SIDE = 256
UNSEEN_SHARE = 0.12
SEED = 1

PHOSPHOR = "@phosphor-icons/core@2.1.1"
FLUENT = "@iconify-json/fluent-emoji-flat@1.2.6"

MOTIFS = (
    "airplane anchor balloon bell bicycle book-open briefcase camera car cat clock cloud coffee "
    "compass crown factory fish gift guitar heart house key leaf moon"
).split()
COLOURS = {
    "red": "#d32f2f",
    "orange": "#f57c00",
    "yellow": "#fbc02d",
    "green": "#388e3c",
    "teal": "#00897b",
    "sky": "#29b6f6",
    "navy": "#1a237e",
    "violet": "#7b1fa2",
    "pink": "#ec407a",
    "brown": "#6d4c41",
}
TRADES = (
    "artist astronaut construction-worker cook detective factory-worker farmer firefighter guard "
    "health-worker judge mechanic office-worker pilot scientist singer"
).split()
GENDERS = ("man", "woman")
TONES = ("light", "medium-light", "medium", "medium-dark", "dark")


@dataclass(frozen=True)
class Drawing:
    attributes: Mapping[str, str]
    svg: str


def build(out: Path = FAMILIES) -> None:
    """Draw both families into ``out``, a gallery and a folder of unseen combinations each."""
    with tempfile.TemporaryDirectory(prefix="families-") as scratch:
        _write(out, "icons", list(_icons(_unpacked(PHOSPHOR, Path(scratch) / "icons"))))
        _write(out, "figures", list(_figures(_unpacked(FLUENT, Path(scratch) / "figures"))))


def _icons(package: Path) -> Iterator[Drawing]:
    for motif in MOTIFS:
        source = (package / f"assets/duotone/{motif}-duotone.svg").read_text()
        body = re.sub(r"^<svg[^>]*>|</svg>\s*$", "", source.strip())
        for colour, middle in COLOURS.items():
            yield Drawing({"motif": motif, "colour": colour}, _tile(body, middle))


def _tile(body: str, middle: str) -> str:
    light, dark = _mixed(middle, 255, 0.35), _mixed(middle, 0, 0.45)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 256 256"><defs>'
        f'<linearGradient id="g" x2="1" y2="1"><stop stop-color="{light}"/>'
        f'<stop offset="1" stop-color="{middle}"/></linearGradient></defs>'
        '<rect x="8" y="8" width="240" height="240" rx="52" fill="url(#g)"/>'
        f'<rect x="9" y="9" width="238" height="238" rx="51" fill="none" stroke="{dark}" '
        'stroke-width="2"/><g transform="translate(40 40) scale(.6875)" fill="#ffffff">'
        f"{body}</g></svg>"
    )


def _mixed(colour: str, level: int, share: float) -> str:
    channels = bytes.fromhex(colour.removeprefix("#"))
    return "#" + "".join(f"{round(one + (level - one) * share):02x}" for one in channels)


def _figures(package: Path) -> Iterator[Drawing]:
    collection = json.loads((package / "icons.json").read_text())
    side = collection.get("width", 16)
    for trade, gender, tone in product(TRADES, GENDERS, TONES):
        icon = collection["icons"][f"{gender}-{trade}-{tone}"]
        view = f"0 0 {icon.get('width', side)} {icon.get('height', side)}"
        yield Drawing(
            {"trade": trade, "gender": gender, "tone": tone},
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{view}">{icon["body"]}</svg>',
        )


def _write(out: Path, family: str, drawings: list[Drawing]) -> None:
    unseen = set(
        random.Random(SEED).sample(range(len(drawings)), round(UNSEEN_SHARE * len(drawings)))
    )
    for folder, chosen in (
        (out / family, [one for at, one in enumerate(drawings) if at not in unseen]),
        (out / f"{family}-unseen", [drawings[at] for at in sorted(unseen)]),
    ):
        (folder / "gallery").mkdir(parents=True, exist_ok=True)
        assets = []
        for drawing in chosen:
            file = f"gallery/{'_'.join(drawing.attributes.values())}.webp"
            data = drawn(drawing.svg)
            (folder / file).write_bytes(data)
            assets.append({"file": file, "attributes": drawing.attributes, "bytes": len(data)})
        manifest = {"family": family, "assets": assets}
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def drawn(svg: str) -> bytes:
    """A drawing at 256x256 over white, coded without loss."""
    command = ["rsvg-convert", "--width", str(SIDE), "--height", str(SIDE)]
    made = subprocess.run(command, input=svg.encode(), capture_output=True, check=True)
    with Image.open(io.BytesIO(made.stdout)) as image:
        over = Image.new("RGBA", image.size, "white")
        over.alpha_composite(image.convert("RGBA"))
    file = io.BytesIO()
    over.convert("RGB").save(file, "WEBP", lossless=True, quality=100, method=4)
    return file.getvalue()


def _unpacked(package: str, folder: Path) -> Path:
    folder.mkdir()
    command = ["npm", "pack", "--silent", package]
    packed = subprocess.run(command, cwd=folder, capture_output=True, check=True, text=True)
    with tarfile.open(folder / packed.stdout.strip().splitlines()[-1]) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


if __name__ == "__main__":
    build()
