"""Builds the labelled inventories of ``bench analyse`` from ordinary packages of drawings.

``tuning.zip``, ``judging.zip``, ``held-out.zip``, ``fourth.zip``, ``fifth.zip`` and ``unseen.zip``
of ``bench/corpus``: small pictures under the paths that a shop or a site would give them, and
``labels.json``: path to family, "" for a picture that has none. Nothing is in two of them.
"""

import json
import random
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench._corpus_fifth import fifth
from bench._corpus_fourth import fourth
from bench._corpus_held_out import held_out
from bench._corpus_packages import (
    TONES,
    Item,
    Package,
    as_webp,
    badge,
    chars_of,
    icons_of,
    noise,
    read_picture,
    unpacked,
    wallpapers,
)
from bench._corpus_unseen import unseen

CORPUS = Path(__file__).resolve().parent / "corpus"
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


def tuning(package: Package) -> Iterator[Item]:
    """What thresholds may be chosen by."""
    twemoji = icons_of(package("twemoji"))
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
            yield Item(f"decks/classic/{card.stem}.webp", "cards", read_picture(card))
    # One product in many colours under names that say nothing.
    tabler = icons_of(package("tabler"))
    for at, motif in enumerate(OBJECTS[:4]):
        for hue, colour in HUES.items():
            code = random.Random(f"{motif} {hue}").randbytes(8).hex()
            drawn = tabler[f"{motif}-filled"].replace("currentColor", colour)
            yield Item(f"media/{code}.webp", f"opaque-{at}", drawn, 96)
    fxemoji = icons_of(package("fxemoji"))
    yield from noise("uploads/2024/{month:02}/IMG_{at:04}.webp", fxemoji, 120)
    yield from wallpapers(package("gnome"), "blog/{name}.webp")


def judging(package: Package) -> Iterator[Item]:
    """What nothing was chosen by: other packages under other kinds of names."""
    noto, openmoji = icons_of(package("noto")), icons_of(package("openmoji"))
    for trade in ("astronaut", "cook", "farmer", "pilot", "scientist", "singer", "teacher"):
        for gender in ("man", "woman"):
            for tone in TONES:
                path = f"people/{trade}/{gender}_{tone}.webp"
                yield Item(path, "people", noto[f"{gender}-{trade}-{tone}-skin-tone"])
    codes = {"light": "1f3fb", "medium-light": "1f3fc", "medium": "1f3fd", "medium-dark": "1f3fe"}
    names = {name: code for code, name in chars_of(package("openmoji")).items()}
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
            f"i18n/flag-{code}-round.webp", "i18n", icons_of(package("circle-flags"))[code], 96
        )
    tabler = icons_of(package("tabler"))
    for motif in OBJECTS[4:]:
        for hue, colour in HUES.items():
            drawn = badge(tabler[f"{motif}-filled"].replace("currentColor", "#fff"), colour)
            yield Item(f"shop/badge?kind={motif}&tint={hue}", "badges", drawn, 96)
    fluent = icons_of(package("fluent"))
    for at, who in enumerate(("artist", "detective", "guard", "judge", "student")):
        for tone in TONES:
            number = random.Random(f"{who} {tone}").randrange(10**9)
            yield Item(f"cdn/{number:09}.webp", f"numbered-{at}", fluent[f"{who}-{tone}"])
    yield from noise("news/{month:02}/{name}.webp", icons_of(package("streamline")), 120)
    yield from wallpapers(package("plasma"), "gallery/{at}.webp")


INVENTORIES = {
    "tuning": tuning,
    "judging": judging,
    "held-out": held_out,
    "fourth": fourth,
    "fifth": fifth,
    "unseen": unseen,
}


def build(names: Iterable[str], scratch: Path, out: Path = CORPUS) -> None:
    """Fetch the packages into ``scratch`` and draw inventories into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        labels = {}
        whole = out / f"{name}.zip"
        with zipfile.ZipFile(whole.with_suffix(".new"), "w", zipfile.ZIP_STORED) as archive:
            for item in INVENTORIES[name](lambda package: unpacked(package, scratch)):
                labels[item.path] = item.family
                when = zipfile.ZipInfo(item.path, (2026, 11, 21, 0, 0, 0))
                archive.writestr(when, as_webp(item))
            described = zipfile.ZipInfo("labels.json", (2026, 11, 21, 0, 0, 0))
            archive.writestr(described, json.dumps(labels, indent=1), zipfile.ZIP_DEFLATED)
        whole.with_suffix(".new").replace(whole)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="corpus-") as fetched:
        build(sys.argv[1:] or INVENTORIES, Path(fetched))
