"""The fourth inventory: it judged grouping once, and has been development data since.

Its pictures, names and labels were chosen before anything of it was grouped, by what a person would
call one family, and nothing of it was changed by what came of it.

From packages that none of the other three has, in the manner of a desktop's skins, a messenger's
reactions and preset portraits, a site's languages, a game's cards and tiles, a configurator, a
monitor's lamps, a shop's catalogue, and a media library under codes that holds unrelated pictures
too; beside them a blog's uploads, and photographs called as if they belonged together.
"""

import gzip
import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from PIL import Image

from bench._corpus_packages import (
    SEED,
    TONES,
    Item,
    Package,
    drawn,
    icons_of,
    in_hues,
    read_picture,
)

ACCENTS = "brave dust human illustrious noble wine wise".split()
KINDS = (
    "folder folder-documents folder-downloads folder-music folder-pictures folder-publicshare "
    "folder-remote folder-saved-search folder-videos user-home"
).split()
HANDS = (
    "backhand-index-pointing-left call-me-hand crossed-fingers index-pointing-up left-facing-fist "
    "nail-polish open-hands raised-back-of-hand raised-fist sign-of-the-horns"
).split()
WHO = "baby boy girl man old-man old-woman prince princess santa-claus woman".split()
NATIONS = (
    "ad ae ag al am ao az ba bb bh bi bj bn bs bt bw bz cd cf cg ci cv dj dm er ga gd gm gn gq gw "
    "gy hk hr ht im kg ki km kn kp lc li lr ls mc md me mh mo mr mu mv mw mz ne ni nr om pg pw py "
    "ru sb sc sl sm so sr ss st sz td tg tj tl tm"
).split()
DECKS = ("dondorf", "paris")
# How the deck's sheet is laid out: a row a suit, a column a value; jokers and the back below.
SUITS, ROWS, COLUMNS = "CDHS", 5, 13
SHAPES = "circle rectangular_h rectangular_v rounded_h rounded_v square triangular_1".split()
LAMPS = "black blue green grey orange purple red yellow".split()
FURS = {
    "chocolate": ("#834217", "#a16121"),
    "tan": ("#c79a5b", "#e0bd86"),
    "ivory": ("#e9dfc7", "#f8f3e4"),
    "gray": ("#77797d", "#a0a3a8"),
    "salmon": ("#e08b84", "#f2b3ad"),
    "gold": ("#d3a21a", "#eac557"),
}
BOWS = {
    "red": "#fb0f0c",
    "navy": "#1b2f7a",
    "green": "#1e8a3c",
    "purple": "#7a2fa0",
    "orange": "#f07f13",
    "turquoise": "#22b5b0",
}
HUES: Final = {
    "red": 0,
    "orange": 28,
    "gold": 48,
    "green": 125,
    "cyan": 180,
    "blue": 218,
    "purple": 275,
    "pink": 325,
}
WARES = {
    "fedora": "people/clothing/hats/red_fedora",
    "vacuum-cleaner": "tools/blue_vacuum_cleaner",
    "bow-tie": "people/clothing/tie_-_clothing",
}
UNNAMED = (
    "containers/cesto_architetto_frances",
    "recreation/toys/wagon",
    "transportation/vehicles/bus2_jarno_vasamaa",
)
CLIP_ART = (
    "animals/mammals animals/birds animals/bugs animals/fish buildings buildings/homes "
    "computer/hardware education food food/beverages food/desserts food/fruit food/vegetables "
    "office plants plants/flowers recreation/music recreation/sports science tools "
    "transportation/vehicles"
).split()
# Not to be told from a blank page, or another hand's copy of what is there.
UNFIT = (
    "angry badminton bus cannabis duck giraffe houses magnolia quaver shelby sixteenth vacuum "
    "vavuum"
).split()


def fourth(package: Package) -> Iterator[Item]:
    """What judged until it had been grouped once."""
    clip_art = package("clip-art") / "usr/share/openclipart/svg"
    yield from _skins(package)
    yield from _people(icons_of(package("noto-old")))
    flags = package("iso-flags") / "usr/share/iso-flags-svg/country-4x3"
    for code in NATIONS:
        yield Item(f"locale/{code}/flag.webp", "flags", (flags / f"{code}.svg").read_text(), 96)
    yield from _games(package)
    for shape in SHAPES:
        for colour in LAMPS:
            svg = _drawing(clip_art / "signs_and_symbols/led", f"led_{shape}_{colour}")
            yield Item(f"plugins/monitor/img/led_{shape}_{colour}.webp", "leds", svg, 96)
    yield from _teddies(_drawing(clip_art / "recreation/toys", "simple_teddy_bear_with"))
    yield from _wares(clip_art)
    yield from _unrelated(clip_art)
    photographs = [
        one
        for name in ("lomiri", "ukui")
        for one in sorted((package(name) / "usr/share/backgrounds").glob("*.*"))
    ]
    for at, one in enumerate(photographs):
        yield Item(f"home/hero-{at + 1}.webp", "", read_picture(one), 160)


def _skins(package: Package) -> Iterator[Item]:
    """One desktop's folders in the seven accents of it."""
    for accent in ACCENTS:
        theme = package(f"gnome-{accent}") / f"usr/share/icons/gnome-{accent}/scalable/places"
        for kind in KINDS:
            svg = (theme / f"{kind}.svg").read_text()
            yield Item(f"skins/{accent}/{kind}.webp", "skins", svg, 96)


def _people(noto: dict[str, str]) -> Iterator[Item]:
    """A messenger's reactions, and the portraits that it gives to who has none."""
    for hand in HANDS:
        for at, tone in enumerate(TONES):
            path = f"emoji/{hand}__skin-tone-{at + 2}.webp"
            yield Item(path, "reactions", noto[f"{hand}-{tone}-skin-tone"], 96)
    for who in WHO:
        for at, tone in enumerate(TONES):
            portrait = noto[f"{who}-{tone}-skin-tone"]
            yield Item(f"users/presets/{who}/tone{at + 1}.webp", "portraits", portrait, 128)


def _games(package: Package) -> Iterator[Item]:
    """Two decks of one game, and the numbered tiles of another."""
    decks = package("gnome-cards") / "usr/share/aisleriot/cards"
    for deck in DECKS:
        sheet = drawn(_unzipped(decks / f"{deck}.svgz"), 72 * COLUMNS)
        wide, high = sheet.width / COLUMNS, sheet.height / ROWS
        for row, suit in enumerate(SUITS):
            for column in range(COLUMNS):
                left, top = round(column * wide), round(row * high)
                card = sheet.crop((left, top, round(left + wide), round(top + high)))
                yield Item(f"freecell/{deck}/{suit}{column + 1:02}.webp", "freecell", card)
    tiles = _unzipped(package("mahjongg") / "usr/share/kmahjongglib/tilesets/default.svgz")
    sorts = {"CHARACTER": 9, "BAMBOO": 9, "ROD": 9, "WIND": 4, "DRAGON": 3, "SEASON": 4}
    faces = [f"{sort}_{at + 1}" for sort, count in sorts.items() for at in range(count)]
    for at, face in enumerate(faces):
        whole = drawn(tiles, part=face)
        yield Item(f"sprites/tile-{at + 1:03}.webp", "tiles", _cropped(whole), 80, card=(72, 96))


def _teddies(svg: str) -> Iterator[Item]:
    """One toy, configured in fur and bow."""
    for fur, (body, belly) in FURS.items():
        for bow, ribbon in BOWS.items():
            path = f"configure/teddy?fur={fur}&bow={bow}"
            coloured = svg.replace("#834217", body).replace("#A16121", belly)
            yield Item(path, "configurator", coloured.replace("#FB0F0C", ribbon), 112)


def _wares(clip_art: Path) -> Iterator[Item]:
    """Single articles by name and colour, and others in colours under codes."""
    for name, where in WARES.items():
        for hue, picture in in_hues(_ware(clip_art / where), HUES):
            path = f"media/catalog/product/{name[0]}/{name[1]}/{name}-{hue}_1.webp"
            yield Item(path, name, picture)
    for at, where in enumerate(UNNAMED):
        for hue, picture in in_hues(_ware(clip_art / where), HUES):
            yield Item(f"dam/{_code(f'{where} {hue}')}.webp", f"opaque-{at}", picture)


def _unrelated(clip_art: Path) -> Iterator[Item]:
    """Clip art, of drawings whose names begin alike one; a quarter of it in the media library."""
    left_out = (*UNFIT, *(Path(where).name for where in (*WARES.values(), *UNNAMED)))
    by_name: dict[str, Path] = {}
    for folder in CLIP_ART:
        for one in sorted((clip_art / folder).glob("*.svg")):
            by_name.setdefault(one.stem.partition("_")[0].rstrip("0123456789"), one)
    draw = random.Random(SEED)
    mixed = draw.sample(sorted(by_name), len(by_name))
    fit = [name for name in mixed if not by_name[name].stem.startswith(left_out)]
    for at, name in enumerate(fit[:120]):
        picture = _cropped(drawn(_text(by_name[name]), 256))
        path = f"wp-content/uploads/{draw.randint(2019, 2025)}/{draw.randint(1, 12):02}/{name}.webp"
        if at % 4 == 0:
            path = f"dam/{_code(name)}.webp"
        yield Item(path, "", picture, draw.choice((96, 128, 160)))


def _ware(where: Path) -> Image.Image:
    return _cropped(drawn(_drawing(where.parent, where.name), 256))


def _drawing(folder: Path, name: str) -> str:
    """The first drawing whose name begins so: its maker's name follows."""
    return _text(sorted(folder.glob(f"{name}*.svg"))[0])


def _cropped(picture: Image.Image) -> Image.Image:
    """What is drawn, without the empty page around it."""
    return picture.crop(picture.getbbox())


def _code(of: str) -> str:
    return str(uuid.UUID(bytes=random.Random(of).randbytes(16), version=4))


def _text(path: Path) -> str:
    return path.read_text(errors="replace")


def _unzipped(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode()
