"""The fifth inventory: it judged grouping once, and has been development data since.

Its pictures, names and labels were chosen before anything of it was grouped and without a look at
what groups, by what a person would call one family, and nothing of it was changed by what came of
it.

From packages that none of the four before it has, in the manner of a page of downloads, emoji in
their maker's own folders, a team's portraits, an encyclopedia's flags, a game's cards and a board's
pieces, a weather service's codes, an editor's folders, portraits rendered to order, a clock, a
shop's files, and posts under short codes that hold unrelated pictures too; beside them covers,
pictures sent by phone, and photographs called as if they belonged together.
"""

import random
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench._corpus_packages import (
    SEED,
    TONES,
    Item,
    Package,
    drawn,
    icons_of,
    in_hues,
    read_picture,
    rendered,
)

THEMES = "Amber Aqua Cyan Gray Green Mint Red Sand".split()
KINDS = "documents music images videos templates remote download home".split()
GESTURES = (
    "call-me-hand clapping-hands crossed-fingers flexed-biceps folded-hands "
    "hand-with-fingers-splayed heart-hands ok-hand pinched-fingers thumbs-up"
).split()
TRADES = "firefighter health-worker mechanic office-worker singer".split()
_NATIONS = (
    "ar:Argentina au:Australia at:Austria be:Belgium bo:Bolivia br:Brazil bg:Bulgaria "
    "ca:Canada cl:Chile cn:China co:Colombia hr:Croatia cu:Cuba dk:Denmark ec:Ecuador "
    "eg:Egypt ee:Estonia fi:Finland fr:France de:Germany gh:Ghana gr:Greece gt:Guatemala "
    "hu:Hungary is:Iceland in:India iq:Iraq ie:Ireland il:Israel it:Italy jm:Jamaica jp:Japan "
    "ke:Kenya lv:Latvia lt:Lithuania mx:Mexico ma:Morocco np:Nepal no:Norway pk:Pakistan "
    "pa:Panama pe:Peru pl:Poland pt:Portugal rs:Serbia za:South_Africa kr:South_Korea "
    "es:Spain lk:Sri_Lanka se:Sweden ch:Switzerland th:Thailand tr:Turkey ug:Uganda "
    "ua:Ukraine uy:Uruguay"
)
NATIONS: Final = dict(pair.split(":") for pair in _NATIONS.split())
SUITS = ("spades", "hearts", "clubs", "diamonds")
SETS = ("alfonso", "cburnett", "kilfiger", "maya")
SKIES = ("partly-cloudy", "overcast", "extreme")
FALLS = "drizzle rain sleet snow hail fog haze smoke".split()
FOLDERS = (
    "admin animation api app archive attachment audio backup base benchmark cart certificate "
    "client config connection console container content core database debug desktop docs download "
    "environment event export font home images"
).split()
HAIR = "fonze dougFunny dannyPhantom full turban pixie".split()
SHIRTS = {
    "crimson": "b71c3c",
    "gold": "f4b400",
    "navy": "1b2f7a",
    "teal": "00838f",
    "orchid": "b05bc9",
}
SKINS = ("f9c9b6", "ac6651")
HOURS = "twelve one two three four five six seven eight nine ten eleven".split()
HUES: Final = {
    "red": 0,
    "orange": 28,
    "gold": 48,
    "lime": 90,
    "teal": 178,
    "blue": 218,
    "indigo": 265,
    "magenta": 305,
}
WARES = ("backpack", "t-shirt")
UNNAMED = ("gift-bag", "headset")
STAMPS = (
    "animals clothes food hobbies household medical military naturalforces people/cartoon plants "
    "sports town/cartoon town/houses vehicles"
).split()
# Of the jigsaws, what would need its licence's whole text beside it.
UNFREE = ("castle-maintenon", "panther-chameleon-female")
WALLPAPERS = "after-the-rain appleflower butterfly drop flowers fog".split()
ALWAYS: Final = {
    "eyebrows": ["up"],
    "eyebrowsColor": ["000000"],
    "eyes": ["eyes"],
    "mouth": ["smile"],
    "nose": ["curve"],
    "ears": ["attached"],
    "shirt": ["crew"],
    "hairColor": ["77311d"],
    "hairProbability": 100,
    "earringsProbability": 0,
    "glassesProbability": 0,
    "facialHairProbability": 0,
}


def fifth(package: Package) -> Iterator[Item]:
    """Seen since it was first grouped."""
    yield from _themes(package("obsidian") / "usr/share/icons")
    fluent = icons_of(package("fluent-flat"))
    yield from _people(fluent)
    flags = icons_of(package("coreui-flags"))
    for code, nation in NATIONS.items():
        path = f"thumb/Flag_of_{nation}.svg/96px-Flag_of_{nation}.svg.webp"
        yield Item(path, "flags", flags[code], 96)
    yield from _games(package)
    yield from _weather(icons_of(package("meteocons")))
    material = icons_of(package("material"))
    for kind in FOLDERS:
        folder = f"dist/icons/folder_type_{kind}"
        yield Item(f"{folder}.webp", "folders", material[f"folder-{kind}"], 96)
        yield Item(f"{folder}_opened.webp", "folders", material[f"folder-{kind}-open"], 96)
    yield from _avatars(package)
    clocks = icons_of(package("emojione-old"))
    for hour, name in enumerate(HOURS):
        for minute, end in ((0, "oclock"), (30, "thirty")):
            path = f"widgets/clock/{hour or 12:02}{minute:02}.webp"
            yield Item(path, "clocks", clocks[f"{name}-{end}"], 96)
    yield from _wares(fluent, icons_of(package("icon-park")))
    yield from _unrelated(package("stamps") / "usr/share/tuxpaint/stamps")
    yield from _photographs(package)


def _themes(themes: Path) -> Iterator[Item]:
    """One theme's folders in eight colours, as a page of downloads calls them."""
    for colour in THEMES:
        places = themes / f"Obsidian-{colour}/places/96"
        for kind in KINDS:
            path = f"downloads/icons/Folder{kind.title()}-{colour.lower()}-48.webp"
            yield Item(path, "themes", (places / f"folder-{kind}.svg").read_text(), 96)


def _people(fluent: dict[str, str]) -> Iterator[Item]:
    """Gestures in the folders that their maker keeps them in, and who works in a team."""
    for gesture in GESTURES:
        words = gesture.replace("-", " ")
        for tone in TONES:
            file = f"{words.replace(' ', '_')}_flat_{tone}.webp"
            path = f"assets/{words.capitalize()}/{tone.title()}/Flat/{file}"
            yield Item(path, "gestures", fluent[f"{gesture}-{tone}"], 96)
    for trade in TRADES:
        for gender in ("man", "woman"):
            for at, tone in enumerate(TONES):
                path = f"team/{trade}.{gender[0]}.tone{at + 1}.webp"
                yield Item(path, "team", fluent[f"{gender}-{trade}-{tone}"], 128)


def _games(package: Package) -> Iterator[Item]:
    """A deck by suit and number, and a board's pieces in four sets."""
    faces = package("deck-of-cards") / "example/faces"
    for at, suit in enumerate(SUITS):
        for value in range(1, 14):
            svg = (faces / f"{at}_{value}.svg").read_text()
            yield Item(f"decks/large/{suit}/{value}.webp", "deck", svg, 112)
    pieces = package("pychess") / "usr/share/pychess/pieces"
    for name in SETS:
        for side in "bw":
            for piece in "kqrbnp":
                drawing = (pieces / f"{name}/{side}{piece}.svg").read_text()
                path = f"piece/{name}/{side}{piece.upper()}.webp"
                yield Item(path, "chess", drawing, 80)


def _weather(meteocons: dict[str, str]) -> Iterator[Item]:
    """By code, day and night; what falls is drawn as if it never faded."""
    codes = [f"{{}}{fall}" for fall in ("", *(f"-{fall}" for fall in FALLS))]
    for tens, sky in enumerate(SKIES):
        for at, code in enumerate(codes):
            for time in ("day", "night"):
                svg = meteocons[code.format(f"{sky}-{time}") + "-fill"]
                path = f"img/wn/{10 * tens + at + 1:02}{time[0]}@2x.webp"
                yield Item(path, "weather", svg.replace(' opacity="0"', ""), 100)


def _avatars(package: Package) -> Iterator[Item]:
    """Portraits rendered to order."""
    wanted = [(hair, shirt, skin) for hair in HAIR for shirt in SHIRTS for skin in range(2)]
    asked = [
        ALWAYS | {"hair": [hair], "shirtColor": [SHIRTS[shirt]], "baseColor": [SKINS[skin]]}
        for hair, shirt, skin in wanted
    ]
    portraits = rendered(package("dicebear"), package("micah"), asked)
    for (hair, shirt, skin), svg in zip(wanted, portraits, strict=True):
        path = f"a/render/hair_{hair},shirt_{shirt},tone_{skin + 1}/avatar.webp"
        yield Item(path, "avatars", svg, 112)


def _wares(fluent: dict[str, str], icons: dict[str, str]) -> Iterator[Item]:
    """A shop's articles by name and colour, and others in colours under short codes."""
    for name in WARES:
        for hue, picture in in_hues(drawn(fluent[name], 256), HUES):
            yield Item(f"cdn/shop/files/{name}-{hue}_600x.webp", name, picture, 128)
    for at, name in enumerate(UNNAMED):
        for hue, picture in in_hues(drawn(icons[name], 256), HUES):
            yield Item(f"p/{_code(f'{name} {hue}')}.webp", f"opaque-{at}", picture, 128)


def _unrelated(stamps: Path) -> Iterator[Item]:
    """Drawings and photographs of things, of those whose names begin alike one: covers, pictures
    sent by phone, and posts."""
    by_name: dict[str, Path] = {}
    for folder in STAMPS:
        for one in sorted((stamps / folder).rglob("*")):
            if one.suffix in (".png", ".svg"):
                by_name.setdefault(one.stem.lower().partition("_")[0].rstrip(_ENDINGS), one)
    draw = random.Random(SEED)
    for at, name in enumerate(draw.sample(sorted(by_name), 120)):
        one = by_name[name]
        picture = drawn(one.read_text(), 256) if one.suffix == ".svg" else read_picture(one)
        path = f"articles/{name}/cover.webp"
        if at % 4 == 1:
            day = f"{draw.randint(1, 12):02}{draw.randint(1, 28):02}"
            path = f"u/inbox/IMG-2024{day}-WA{draw.randrange(100):04}.webp"
        if at % 4 == 3:
            path = f"p/{_code(name)}.webp"
        side = draw.choice((96, 128, 160))
        if name not in WARES:
            yield Item(path, "", picture.crop(picture.getbbox()), side)


def _photographs(package: Package) -> Iterator[Item]:
    """Of one camera's numbers, with gaps, and of nothing else in common."""
    lxqt = package("lxqt") / "usr/share/lxqt/wallpapers"
    found = [
        *sorted((package("lomiri-later") / "usr/share/backgrounds").glob("*.jpg")),
        *sorted((package("jigsaws") / "usr/share/palapeli/collection").glob("*.jpg")),
        *(next(lxqt.glob(f"{name}.*")) for name in WALLPAPERS),
    ]
    for at, one in enumerate(found):
        if one.stem not in UNFREE:
            yield Item(f"galleries/sunday/DSC_{4127 + at:04}.webp", "", read_picture(one), 160)


_ENDINGS = string.digits + "-"


def _code(of: str) -> str:
    return "".join(random.Random(of).choices(string.ascii_letters + string.digits, k=11))
