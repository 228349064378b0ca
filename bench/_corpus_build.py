"""Builds the labelled inventories of ``bench analyse`` from ordinary packages of drawings.

``bench/corpus/tuning.zip`` and ``judging.zip``: small pictures under the paths that a shop or a
site would give them, and ``labels.json``: path to family, "" for a picture that has none. Nothing
is in both. Needs `npm`, `apt-get`, `dpkg-deb` and `rsvg-convert`; versions are pinned.
"""

import io
import json
import random
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

CORPUS = Path(__file__).resolve().parent / "corpus"
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
}
WALLPAPERS = {
    "gnome": "gnome-backgrounds=43.1-1",
    "plasma": "plasma-workspace-wallpapers=4:5.27.5-2",
}
COUNTRIES = (
    "ar at au be br ca ch cl cn cz de dk ee eg es fi fr gb gr hu ie il in is it jm jp ke kr lt lu "
    "lv ma mx nl no nz pe pk pl pt ro rs se sg si sk th tn tr ua us uy ve vn za"
).split()
HUES = {
    "red": "#c62828",
    "orange": "#ef6c00",
    "green": "#2e7d32",
    "teal": "#00838f",
    "blue": "#1565c0",
    "purple": "#6a1b9a",
    "brown": "#4e342e",
    "grey": "#546e7a",
}
GESTURES = (
    "waving-hand raised-hand ok-hand thumbs-up thumbs-down clapping-hands folded-hands "
    "flexed-biceps vulcan-salute victory-hand"
).split()
OBJECTS = "home bell star heart cloud lock camera flag bookmark bulb droplet gift".split()


@dataclass(frozen=True)
class Item:
    """``picture`` is an SVG's text or an image; ``side`` the longer side of what is kept."""

    path: str
    family: str
    picture: str | Image.Image
    side: int = 112


Package = Callable[[str], Path]


def tuning(package: Package) -> Iterator[Item]:
    """What thresholds may be chosen by."""
    twemoji = _icons(package("twemoji"))
    for gesture in GESTURES:
        for tone in TONES:
            name = f"{gesture}-{tone}-skin-tone"
            yield Item(f"emoji/hands/{name}.webp", "hands", twemoji[name])
    for ratio in ("4x3", "1x1"):
        for code in COUNTRIES:
            svg = (package("flag-icons") / f"flags/{ratio}/{code}.svg").read_text()
            yield Item(f"static/flags/{ratio}/{code}.webp", "flags", svg, 96)
    for card in sorted((package("svg-cards") / "png/1x").glob("*_*.png")):
        if not card.name.startswith("joker"):
            yield Item(f"decks/classic/{card.stem}.webp", "cards", _read(card))
    # One product in many colours under names that say nothing.
    tabler = _icons(package("tabler"))
    for at, motif in enumerate(OBJECTS[:4]):
        for hue, colour in HUES.items():
            code = random.Random(f"{motif} {hue}").randbytes(8).hex()
            drawn = tabler[f"{motif}-filled"].replace("currentColor", colour)
            yield Item(f"media/{code}.webp", f"opaque-{at}", drawn, 96)
    fxemoji = _icons(package("fxemoji"))
    yield from _noise("uploads/2024/{month:02}/IMG_{at:04}.webp", fxemoji, 120)
    yield from _wallpapers(package("gnome"), "blog/{name}.webp")


def judging(package: Package) -> Iterator[Item]:
    """What nothing was chosen by: other packages under other kinds of names."""
    noto, openmoji = _icons(package("noto")), _icons(package("openmoji"))
    for trade in ("astronaut", "cook", "farmer", "pilot", "scientist", "singer", "teacher"):
        for gender in ("man", "woman"):
            for tone in TONES:
                path = f"people/{trade}/{gender}_{tone}.webp"
                yield Item(path, "people", noto[f"{gender}-{trade}-{tone}-skin-tone"])
    codes = {"light": "1f3fb", "medium-light": "1f3fc", "medium": "1f3fd", "medium-dark": "1f3fe"}
    names = {name: code for code, name in _chars(package("openmoji")).items()}
    for gesture in GESTURES:
        for tone, skin in codes.items():
            drawn = openmoji[f"{gesture}-{tone}-skin-tone"]
            yield Item(f"svg/72/{names[gesture].split('-')[0]}-{skin}.webp", "codes", drawn)
    for deck in ("2color-bf", "4color-bf"):
        for card in sorted((package("playing-cards") / "src/images" / deck).glob("??.svg")):
            yield Item(f"game/{deck}/{card.stem}.webp", "poker", card.read_text(), 96)
    for code in COUNTRIES:
        flag = package("country-flags") / f"3x2/{code.upper()}.svg"
        yield Item(f"i18n/flag-{code}-wide.webp", "i18n", flag.read_text(), 96)
        yield Item(
            f"i18n/flag-{code}-round.webp", "i18n", _icons(package("circle-flags"))[code], 96
        )
    tabler = _icons(package("tabler"))
    for motif in OBJECTS[4:]:
        for hue, colour in HUES.items():
            drawn = _badge(tabler[f"{motif}-filled"].replace("currentColor", "#fff"), colour)
            yield Item(f"shop/badge?kind={motif}&tint={hue}", "badges", drawn, 96)
    fluent = _icons(package("fluent"))
    for at, who in enumerate(("artist", "detective", "guard", "judge", "student")):
        for tone in TONES:
            number = random.Random(f"{who} {tone}").randrange(10**9)
            yield Item(f"cdn/{number:09}.webp", f"numbered-{at}", fluent[f"{who}-{tone}"])
    yield from _noise("news/{month:02}/{name}.webp", _icons(package("streamline")), 120)
    yield from _wallpapers(package("plasma"), "gallery/{at}.webp")


def build(scratch: Path, out: Path = CORPUS) -> None:
    """Fetch the packages into ``scratch`` and draw both inventories into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    for name, items in (("tuning", tuning), ("judging", judging)):
        labels = {}
        with zipfile.ZipFile(out / f"{name}.zip", "w", zipfile.ZIP_STORED) as archive:
            for item in items(lambda package: _unpacked(package, scratch)):
                labels[item.path] = item.family
                when = zipfile.ZipInfo(item.path, (2026, 11, 21, 0, 0, 0))
                archive.writestr(when, _drawn(item))
            described = zipfile.ZipInfo("labels.json", (2026, 11, 21, 0, 0, 0))
            archive.writestr(described, json.dumps(labels, indent=1), zipfile.ZIP_DEFLATED)


def _noise(path: str, icons: dict[str, str], count: int) -> Iterator[Item]:
    """Drawings that have nothing in common."""
    draw = random.Random(SEED)
    for at, name in enumerate(draw.sample(sorted(icons), count)):
        place = path.format(month=draw.randint(1, 12), at=draw.randint(0, 9999) + at, name=name)
        yield Item(place, "", icons[name], draw.choice((96, 128, 160)))


def _wallpapers(folder: Path, path: str) -> Iterator[Item]:
    """One picture of each wallpaper: its dark, narrow or small version is not unrelated to it."""
    found = [one for one in sorted(folder.rglob("*")) if one.suffix in (".webp", ".jpg")]
    by_name: dict[str, Path] = {}
    for one in found:
        own = one.stem.removesuffix("-d").removesuffix("-l")
        by_name.setdefault(own if own[0].isalpha() else one.parents[2].name.lower(), one)
    for at, (name, one) in enumerate(by_name.items()):
        yield Item(path.format(at=at, name=name), "", _read(one), 160)


def _icons(package: Path) -> dict[str, str]:
    """Every drawing of an iconify package as SVG, by name."""
    found = json.loads((package / "icons.json").read_text())
    side = found.get("width", 16)
    return {
        name: '<svg xmlns="http://www.w3.org/2000/svg" '
        'xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {icon.get("width", side)} {icon.get("height", side)}">{icon["body"]}</svg>'
        for name, icon in found["icons"].items()
    }


def _chars(package: Path) -> dict[str, str]:
    chars: dict[str, str] = json.loads((package / "chars.json").read_text())
    return chars


def _badge(svg: str, colour: str) -> str:
    inner = svg.replace("<svg ", '<svg x="16" y="16" width="32" height="32" ', 1)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
        f'<circle cx="32" cy="32" r="30" fill="{colour}"/>{inner}</svg>'
    )


def _read(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGBA")


def _drawn(item: Item) -> bytes:
    image = item.picture
    if isinstance(image, str):
        command = ["rsvg-convert", "--keep-aspect-ratio", "--width", str(item.side)]
        drawn = subprocess.run(command, input=image.encode(), capture_output=True, check=True)
        image = Image.open(io.BytesIO(drawn.stdout)).convert("RGBA")
    image.thumbnail((item.side, item.side), Image.Resampling.LANCZOS)
    over = Image.new("RGBA", image.size, "white")
    over.alpha_composite(image)
    file = io.BytesIO()
    over.convert("RGB").save(file, "WEBP", quality=80, method=4)
    return file.getvalue()


def _unpacked(name: str, scratch: Path) -> Path:
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
    subprocess.run(["apt-get", "download", WALLPAPERS[name]], cwd=folder, check=True)
    (package,) = folder.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    return folder


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="corpus-") as fetched:
        build(Path(sys.argv[1]) if sys.argv[1:] else Path(fetched))
