"""The inventory that nobody looked at: its pictures and names were chosen before it was grouped,
and nothing was chosen by what came of it.

From packages that neither of the other two has, in the manner of a theme's folders, a messenger's
stickers, a site's flags, card games, a shop's catalogue, and media under codes; beside them
unrelated drawings, and wallpapers called as if they belonged together.
"""

import gzip
import random
import re
from collections.abc import Iterator
from pathlib import Path

from bench._corpus_packages import (
    SEED,
    TONES,
    Item,
    Package,
    badge,
    icons_of,
    noise,
    read_picture,
)

FOLDERS = "black blue brown cyan green grey magenta orange pink red teal violet".split()
KINDS = "documents download games git locked mail music photo steam wifi".split()
PEOPLE = (
    "construction-worker detective guard person-bowing person-running person-shrugging "
    "person-walking police-officer prince princess pregnant-woman person-surfing"
).split()
NATIONS = (
    "af al bd bg bo by cm co cr cu cy do dz ec et fj ge gh gt hn hr id iq ir iq jo kh kw kz la lb "
    "lk ly md mg mk mm mn mt my na ng ni np om pa ph pk py qa rw sa sd si sn sv sy tz ug uz ve ye"
).split()
VALUES = "1 2 3 4 5 6 7 8 9 10 jack queen king".split()
SUITS = ("club", "diamond", "heart", "spade")
GOODS = "shirt glasses umbrella bicycle boat bag-handle".split()
UNNAMED = "pizza key paw skull leaf".split()
INKS = {
    "crimson": "#b71c3c",
    "coral": "#ff7f50",
    "gold": "#c9a227",
    "olive": "#6b7a1f",
    "turquoise": "#1fa8a0",
    "navy": "#1b2a6b",
    "orchid": "#b05bc9",
    "chocolate": "#7a4a21",
    "black": "#202020",
}


def held_out(package: Package) -> Iterator[Item]:
    """Nothing may be chosen by it."""
    papirus = package("papirus") / "usr/share/icons/Papirus/64x64/places"
    for colour in FOLDERS:
        for kind in KINDS:
            svg = (papirus / f"folder-{colour}-{kind}.svg").read_text()
            yield Item(f"theme/{colour}/folder-{kind}.webp", "theme", svg, 96)
    emojione = icons_of(package("emojione"))
    for who in PEOPLE:
        for tone in TONES:
            sticker = emojione[f"{who}-{tone}-skin-tone"]
            yield Item(f"stickers/{who}+{tone}.webp", "stickers", sticker)
    yield from _flags(package)
    yield from _cards(package("kde-cards") / "usr/share/carddecks")
    yield from _wares(icons_of(package("ion")))
    yield from noise("files/{month:02}/{at:05}-{name}.webp", icons_of(package("flat-color")), 120)
    walls = package("mate") / "usr/share/backgrounds/mate"
    for at, one in enumerate(_photographs(walls)):
        yield Item(f"slides/slide-{at + 1}.webp", "", read_picture(one), 160)


def _flags(package: Package) -> Iterator[Item]:
    """Two makers' flags, large and of sixteen pixels."""
    flagpack = icons_of(package("flagpack"))
    small = package("famfamfam") / "usr/share/flags/countries/16x11"
    for code in dict.fromkeys(NATIONS):
        yield Item(f"assets/flag_{code.upper()}.webp", "flags", flagpack[code], 96)
        yield Item(
            f"assets/flag_{code.upper()}_s.webp", "flags", read_picture(small / f"{code}.png")
        )


def _cards(decks: Path) -> Iterator[Item]:
    """Two decks of one game, and one under numbers."""
    for deck in ("standard", "tigullio-international"):
        drawn = _unzipped(decks / f"svg-{deck}/{deck}.svgz")
        for suit in SUITS:
            for value in VALUES:
                path = f"solitaire/{deck.partition('-')[0]}/{value}_{suit}.webp"
                yield Item(path, "solitaire", drawn, 96, f"{value}_{suit}", (72, 96))
    drawn = _unzipped(decks / "svg-nicu-white/white.svgz")
    numbers = iter(random.Random(SEED).sample(range(10**6), 52))
    for suit in SUITS:
        for value in VALUES:
            yield Item(
                f"img/{next(numbers):06}.webp", "deck", drawn, 96, f"{value}_{suit}", (72, 96)
            )


def _wares(ion: dict[str, str]) -> Iterator[Item]:
    """A catalogue, by article and colour; and motifs in colours under codes."""
    for at, motif in enumerate(GOODS):
        for ink, colour in INKS.items():
            ware = badge(ion[motif].replace("currentColor", "#fff"), colour)
            yield Item(f"catalogue/{4100 + 7 * at}_{ink}.webp", "catalogue", ware)
    for at, motif in enumerate(UNNAMED):
        for ink, colour in INKS.items():
            code = random.Random(f"{motif} {ink}").randbytes(10).hex()
            drawn = ion[motif].replace("currentColor", colour)
            yield Item(f"store/{code[:2]}/{code}.webp", f"opaque-{at}", drawn, 96)


def _photographs(folder: Path) -> list[Path]:
    """Of several sizes of one the first."""
    found = {re.split(r"[-_]\d", one.stem)[0]: one for one in sorted(folder.rglob("*.jpg"))[::-1]}
    return sorted(found.values())


def _unzipped(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode()
