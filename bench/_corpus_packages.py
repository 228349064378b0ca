"""Ordinary packages of drawings: fetched, taken apart, drawn small.

Needs `npm`, `node`, `apt-get`, `dpkg-deb` and `rsvg-convert`; versions are pinned.
"""

import io
import json
import random
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SEED = 7
TONES = ("light", "medium-light", "medium", "medium-dark", "dark")
PACKAGES = {
    "twemoji": "@iconify-json/twemoji@1.2.5",
    "noto": "@iconify-json/noto@1.2.9",
    "openmoji": "@iconify-json/openmoji@1.2.29",
    "fluent": "@iconify-json/fluent-emoji@1.2.7",
    "fxemoji": "@iconify-json/fxemoji@1.2.2",
    "streamline": "@iconify-json/streamline-emojis@1.2.4",
    "tabler": "@iconify-json/tabler@1.2.23",
    "circle-flags": "@iconify-json/circle-flags@1.2.11",
    "flag-icons": "flag-icons@7.5.0",
    "country-flags": "country-flag-icons@1.6.20",
    "svg-cards": "svg-cards@4.0.2",
    "playing-cards": "@heruka_urgyen/react-playing-cards@0.5.0",
    "emojione": "@iconify-json/emojione@1.2.3",
    "flagpack": "@iconify-json/flagpack@1.2.8",
    "flat-color": "@iconify-json/flat-color-icons@1.2.3",
    "ion": "@iconify-json/ion@1.2.7",
    "noto-old": "@iconify-json/noto-v1@1.2.5",
    "fluent-flat": "@iconify-json/fluent-emoji-flat@1.2.6",
    "coreui-flags": "@iconify-json/cif@1.2.7",
    "meteocons": "@iconify-json/meteocons@1.2.4",
    "material": "@iconify-json/material-icon-theme@1.2.70",
    "emojione-old": "@iconify-json/emojione-v1@1.2.3",
    "icon-park": "@iconify-json/icon-park@1.2.4",
    "deck-of-cards": "deck-of-cards@0.1.8",
    "dicebear": "@dicebear/core@9.4.3",
    "micah": "@dicebear/micah@9.4.3",
    "adventurer": "@dicebear/adventurer@9.4.3",
    "big-smile": "@dicebear/big-smile@9.4.3",
    "skill-icons": "@iconify-json/skill-icons@1.2.4",
    "coins": "@iconify-json/cryptocurrency-color@1.2.4",
    "payment": "payment-icons@1.2.1",
    "game-icons": "@iconify-json/game-icons@1.2.4",
    "fluent-color": "@iconify-json/fluent-color@1.2.21",
    "ultimate": "@iconify-json/streamline-ultimate-color@1.2.2",
    "freehand": "@iconify-json/streamline-freehand-color@1.2.2",
}
DEBIAN = {
    "gnome": "gnome-backgrounds=43.1-1",
    "plasma": "plasma-workspace-wallpapers=4:5.27.5-2",
    "papirus": "papirus-icon-theme=20230104-2",
    "famfamfam": "famfamfam-flag-png=0.1-3.2",
    "kde-cards": "kdegames-card-data-kf5=4:22.12.3-1",
    "mate": "mate-backgrounds=1.26.0-1",
    "clip-art": "openclipart-svg=1:0.18+dfsg-19",
    "gnome-cards": "gnome-cards-data=1:3.22.23-1",
    "mahjongg": "kdegames-mahjongg-data-kf5=4:22.12.3-1",
    "iso-flags": "iso-flags-svg=1.0.2-2",
    "lomiri": "lomiri-wallpapers-16.04=20.04.0-2",
    "ukui": "ukui-wallpapers=20.04.3-1.1",
    "obsidian": "obsidian-icon-theme=3.5-1.1",
    "pychess": "pychess=1.0.3-1",
    "stamps": "tuxpaint-stamps-default=2022.06.04-1",
    "lomiri-later": "lomiri-wallpapers-20.04=20.04.0-2",
    "jigsaws": "palapeli-data=4:22.12.3-1",
    "lxqt": "lxqt-themes=1.2.0-1",
    "yaru": "yaru-theme-icon=22.10.3-1",
    "pokerth": "pokerth-data=1.1.2-2",
    "freeciv": "freeciv-data=3.0.6-1+deb12u1",
    "xfce": "xfdesktop4-data=4.18.1-1",
    "sway": "sway-backgrounds=1.7-6",
} | {
    f"gnome-{accent}": f"gnome-{accent}-icon-theme=5.5.1-2.1"
    for accent in ("brave", "dust", "human", "illustrious", "noble", "wine", "wise")
}

_PORTRAITS = """
import {createAvatar} from %s;
import * as style from %s;
const draw = (own) => createAvatar(style, {seed: 'one', ...own}).toString();
console.log(JSON.stringify(JSON.parse(process.argv[2]).map(draw)));
"""


@dataclass(frozen=True)
class Item:
    """``picture`` is an SVG's text or an image; ``part`` the id of what is wanted of an SVG;
    ``side`` the longer side of what is kept, ``card`` the width and height of the white card that
    it is put on the middle of."""

    path: str
    family: str
    picture: str | Image.Image
    side: int = 112
    part: str = ""
    card: tuple[int, int] | None = None


Package = Callable[[str], Path]


def noise(path: str, icons: dict[str, str], count: int) -> Iterator[Item]:
    """Drawings that have nothing in common."""
    draw = random.Random(SEED)
    for at, name in enumerate(draw.sample(sorted(icons), count)):
        place = path.format(month=draw.randint(1, 12), at=draw.randint(0, 9999) + at, name=name)
        yield Item(place, "", icons[name], draw.choice((96, 128, 160)))


def wallpapers(folder: Path, path: str) -> Iterator[Item]:
    """One picture of each wallpaper: its dark, narrow or small version is not unrelated to it."""
    found = [one for one in sorted(folder.rglob("*")) if one.suffix in (".webp", ".jpg")]
    by_name: dict[str, Path] = {}
    for one in found:
        own = one.stem.removesuffix("-d").removesuffix("-l")
        by_name.setdefault(own if own[0].isalpha() else one.parents[2].name.lower(), one)
    for at, (name, one) in enumerate(by_name.items()):
        yield Item(path.format(at=at, name=name), "", read_picture(one), 160)


def icons_of(package: Path) -> dict[str, str]:
    """Every drawing of an iconify package as SVG, by name."""
    found = json.loads((package / "icons.json").read_text())
    side = found.get("width", 16)
    return {
        name: '<svg xmlns="http://www.w3.org/2000/svg" '
        'xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {icon.get("width", side)} {icon.get("height", side)}">{icon["body"]}</svg>'
        for name, icon in found["icons"].items()
    }


def chars_of(package: Path) -> dict[str, str]:
    """An emoji package's names by code."""
    chars: dict[str, str] = json.loads((package / "chars.json").read_text())
    return chars


def badge(svg: str, colour: str) -> str:
    """A motif on a disc of a colour."""
    inner = svg.replace("<svg ", '<svg x="16" y="16" width="32" height="32" ', 1)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
        f'<circle cx="32" cy="32" r="30" fill="{colour}"/>{inner}</svg>'
    )


def in_hues(picture: Image.Image, hues: dict[str, int]) -> Iterator[tuple[str, Image.Image]]:
    """A drawing by colour: every hue of it turned by as much as brings its own to that colour's
    degrees."""
    hue, saturation, value = np.asarray(picture.convert("RGB").convert("HSV")).transpose(2, 0, 1)
    weight = saturation.astype(float) * value * np.asarray(picture.getchannel("A"))
    own = np.angle((weight * np.exp(2j * np.pi * hue / 256)).sum()) / (2 * np.pi)
    for name, degrees in hues.items():
        turned = (hue + 256 * (degrees / 360 - own)).round() % 256
        bands = np.stack((turned.astype(np.uint8), saturation, value), axis=2)
        coloured = Image.fromarray(bands, "HSV").convert("RGB")
        coloured.putalpha(picture.getchannel("A"))
        yield name, coloured


def rendered(core: Path, style: Path, asked: list[dict[str, Any]]) -> list[str]:
    """One SVG for each of the options ``asked`` of a dicebear style."""
    link = style.parents[1] / "node_modules/@dicebear/core"
    if not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(core.resolve())
    modules = (json.dumps(str((one / "lib/index.js").resolve())) for one in (core, style))
    done = subprocess.run(
        ["node", "--input-type=module", "-", json.dumps(asked)],
        input=_PORTRAITS % tuple(modules),
        capture_output=True,
        check=True,
        text=True,
    )
    drawings: list[str] = json.loads(done.stdout)
    return drawings


def read_picture(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGBA")


def drawn(svg: str, width: int | None = None, part: str = "") -> Image.Image:
    """An SVG, or the part of it with that id, ``width`` pixels wide or as large as it is."""
    command = ["rsvg-convert", "--keep-aspect-ratio"]
    if width is not None:
        command += ["--width", str(width)]
    if part:
        command += ["--export-id", f"#{part}"]
    done = subprocess.run(command, input=svg.encode(), capture_output=True, check=True)
    return Image.open(io.BytesIO(done.stdout)).convert("RGBA")


def as_webp(item: Item) -> bytes:
    """The file: over white, the longer side as ``item`` says."""
    image = item.picture
    if isinstance(image, str):
        image = drawn(image, item.side, item.part)
    image.thumbnail((item.side, item.side), Image.Resampling.LANCZOS)
    over = Image.new("RGBA", item.card or image.size, "white")
    middle = (over.width - image.width) // 2, (over.height - image.height) // 2
    over.alpha_composite(image, middle)
    file = io.BytesIO()
    over.convert("RGB").save(file, "WEBP", quality=80, method=4)
    return file.getvalue()


def unpacked(name: str, scratch: Path) -> Path:
    """A package's files, fetched into ``scratch`` the first time. CalledProcessError if it cannot
    be."""
    folder = scratch / name
    if folder.is_dir():
        return folder / "package" if name in PACKAGES else folder
    folder.mkdir(parents=True)
    if name in PACKAGES:
        command = ["npm", "pack", "--silent", PACKAGES[name]]
        packed = subprocess.run(command, cwd=folder, capture_output=True, check=True, text=True)
        with tarfile.open(folder / packed.stdout.strip().splitlines()[-1]) as archive:
            archive.extractall(folder, filter="data")
        return folder / "package"
    subprocess.run(["apt-get", "download", DEBIAN[name]], cwd=folder, check=True)
    (package,) = folder.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    return folder
