"""The inventory that grouping is judged by, now that the fifth has been grouped.

Its pictures, names and labels were chosen before anything of it was grouped and without a look at
what groups, by what a person would call one family, and nothing was chosen or changed by what came
of it.

From packages that none of the other five has (but for what renders portraits), in the manner of a
page of previews, a readme's badges, a market's coins by number, a checkout's marks, a table's cards
by bare number, a league's teams, portraits asked for by query, faces with skins, a game's rewards
in tiers, a shop's articles by number and number of colour, and uploads under codes that hold
unrelated pictures too; beside them posts, screenshots, and two wallpapers called as if they
belonged together.
"""

import random
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench._corpus_packages import (
    SEED,
    Item,
    Package,
    badge,
    drawn,
    icons_of,
    in_hues,
    read_picture,
    rendered,
)

# The theme without an accent is the orange one.
ACCENTS = "orange bark blue magenta olive purple red viridian".split()
PLACES = "documents download music pictures templates videos".split()
SKILLS = (
    "angular blender dart debian figma flutter github gitlab haskell java julia kotlin linux lua "
    "mysql nextjs nodejs php postgresql python react redis tailwindcss vuejs"
).split()
COINS = (
    "aave ada algo atom avax bat bch bnb btc comp dai dash doge dot eos etc eth fil icx link ltc "
    "mana mkr neo sol trx uni usdc usdt vet waves xlm xmr xrp xtz zec"
).split()
BRANDS = (
    "alipay amex diners discover elo hipercard jcb maestro mastercard paypal unionpay verve visa"
).split()
STYLES = ("flat", "mono", "outline")
NATIONS = (
    "argentina austria belgium canada chile china cuba denmark egypt england ethiopia finland "
    "france germany ghana greece hungary iceland india iran iraq ireland israel italy japan kenya "
    "korea mexico morocco nigeria norway peru poland portugal russia scotland spain sweden "
    "thailand turkey ukraine usa vietnam wales"
).split()
HAIR = ("short04", "short11", "long03", "long09", "long16")
DYES = ("0e0e0e", "ac6511", "e5d7a3", "85c2c6")
SKINS = ("f2d3b1", "9e5622")
PORTRAIT: Final = {
    "eyebrows": ["variant10"],
    "eyes": ["variant24"],
    "mouth": ["variant02"],
    "hairProbability": 100,
    "earringsProbability": 0,
    "featuresProbability": 0,
    "glassesProbability": 0,
}
# Eyes and mouth.
MOODS = {
    "glad": ("cheery", "openedSmile"),
    "calm": ("normal", "kawaii"),
    "puzzled": ("confused", "unimpressed"),
    "amazed": ("starstruck", "teethSmile"),
    "cheeky": ("winking", "gapSmile"),
    "tired": ("sleepy", "awkwardSmile"),
    "sad": ("sad", "openSad"),
    "cross": ("angry", "unimpressed"),
}
FACES = ("ffe4c0", "efcc9f", "e2ba87", "a47539", "643d19")
FACE: Final = {"hair": ["shortHair"], "hairColor": ["220f00"], "accessoriesProbability": 0}
REWARDS = (
    "anvil castle compass crown dragon-head laurels rocket sword-clash treasure-map trophy-cup"
).split()
TIERS = {"bronze": "#a9673a", "silver": "#8d97a3", "gold": "#d4a017", "platinum": "#3f6d80"}
HUES: Final = {
    "010": 0,
    "024": 30,
    "031": 52,
    "107": 120,
    "115": 172,
    "230": 210,
    "402": 262,
    "416": 318,
}
ARTICLE = "briefcase-48"
UNNAMED = ("megaphone-loud-32", "puzzle-piece-48")
# Another hand's copy of what a family or another drawing shows, or not a thing.
SHOWN = "megaphone crypto credit paypal flag gaming product e github flip".split()


def unseen(package: Package) -> Iterator[Item]:
    """Nothing may be chosen by it."""
    yield from _previews(package("yaru") / "usr/share/icons")
    skills, coins = icons_of(package("skill-icons")), icons_of(package("coins"))
    for skill in SKILLS:
        for theme in ("dark", "light"):
            path = f"icons/{skill.title()}-{theme.title()}.webp"
            yield Item(path, "skills", skills[f"{skill}-{theme}"], 96)
    number = random.Random(SEED)
    for coin in COINS:
        path = f"coins/images/{number.randrange(1, 40_000)}/large/{coin}.webp"
        yield Item(path, "coins", coins[coin], 96)
    marks = package("payment") / "svg"
    for look in STYLES:
        for brand in BRANDS:
            svg = (marks / f"{look}/{brand}.svg").read_text()
            yield Item(f"checkout/v2/pm_{brand}--{look}.webp", "payments", svg, 112)
    yield from _games(package)
    yield from _portraits(package)
    colours = icons_of(package("fluent-color"))
    for code, picture in in_hues(drawn(colours[ARTICLE], 256), HUES):
        yield Item(f"is/image/store/418206_{code}_main.webp", "numbered-0", picture, 128)
    for at, name in enumerate(UNNAMED):
        for code, picture in in_hues(drawn(colours[name], 256), HUES):
            yield Item(_upload(f"{name} {code}"), f"opaque-{at}", picture, 128)
    yield from _unrelated(package)


def _previews(themes: Path) -> Iterator[Item]:
    """One theme's folders in its accents, as a page of previews calls them."""
    for accent in ACCENTS:
        theme = themes / ("Yaru" if accent == "orange" else f"Yaru-{accent}")
        for place in PLACES:
            picture = read_picture(theme / f"256x256/places/folder-{place}.png")
            path = f"previews/yaru_{accent}_{place}_256x256.webp"
            yield Item(path, "previews", picture, 112)


def _games(package: Package) -> Iterator[Item]:
    """A table's cards, a league's flags, and rewards in tiers."""
    cards = package("pokerth") / "usr/share/games/pokerth/gfx/cards/default"
    for at in range(52):
        yield Item(f"table/cards/{at}.webp", "cards", read_picture(cards / f"{at}.png"))
    flags = package("freeciv") / "usr/share/games/freeciv/flags"
    for nation in NATIONS:
        flag = read_picture(flags / f"{nation}-large.png")
        yield Item(f"league/teams/{nation}/flag.webp", "teams", flag)
    icons = icons_of(package("game-icons"))
    for motif in REWARDS:
        for tier, colour in TIERS.items():
            picture = badge(icons[motif].replace("currentColor", "#fff"), colour)
            yield Item(f"achievements/{motif}.{tier}.webp", "rewards", picture, 112)


def _portraits(package: Package) -> Iterator[Item]:
    """Portraits asked for by query, and faces in five skins."""
    core = package("dicebear")
    queries = [(hair, dye, skin) for hair in HAIR for dye in DYES for skin in SKINS]
    asked = [
        PORTRAIT | {"hair": [hair], "hairColor": [dye], "skinColor": [skin]}
        for hair, dye, skin in queries
    ]
    portraits = rendered(core, package("adventurer"), asked)
    for (hair, dye, skin), svg in zip(queries, portraits, strict=True):
        path = f"9.x/adventurer/webp?hair={hair}&hairColor={dye}&skinColor={skin}"
        yield Item(path, "portraits", svg, 128)
    moods = [(mood, tone) for mood in MOODS for tone in range(len(FACES))]
    asked = [
        FACE | {"eyes": [MOODS[mood][0]], "mouth": [MOODS[mood][1]], "skinColor": [FACES[tone]]}
        for mood, tone in moods
    ]
    faces = rendered(core, package("big-smile"), asked)
    for (mood, tone), svg in zip(moods, faces, strict=True):
        yield Item(f"chat/faces/{mood}_skin{tone + 1}.webp", "faces", svg, 112)


def _unrelated(package: Package) -> Iterator[Item]:
    """Drawings of two hands, of those whose names begin alike one: posts, screenshots and uploads;
    and two wallpapers under one camera's numbers."""
    by_word: dict[str, str] = {}
    for hand in ("freehand", "ultimate"):
        for name, svg in sorted(icons_of(package(hand)).items()):
            by_word.setdefault(name.partition("-")[0].rstrip("s"), svg)
    draw = random.Random(SEED)
    words = sorted(by_word.keys() - set(SHOWN))
    for at, word in enumerate(draw.sample(words, 120)):
        path = f"2023/{draw.randint(1, 12):02}/{word}-{draw.randrange(10**6):06}/header.webp"
        if at % 4 == 1:
            path = f"attachments/Screenshot_2024-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}"
            path += (
                f"_at_{draw.randint(8, 22)}.{draw.randrange(60):02}.{draw.randrange(60):02}.webp"
            )
        if at % 4 == 3:
            path = _upload(word)
        yield Item(path, "", by_word[word], draw.choice((96, 128, 160)))
    leaves = package("xfce") / "usr/share/backgrounds/xfce/xfce-leaves.svg"
    sway = package("sway") / "usr/share/backgrounds/sway/Sway_Wallpaper_Blue_1366x768.png"
    yield Item("club/summer/P1030417.webp", "", drawn(leaves.read_text(), 320), 160)
    yield Item("club/summer/P1030420.webp", "", read_picture(sway), 160)


def _upload(of: str) -> str:
    draw = random.Random(of)
    code = "".join(draw.choices(string.ascii_lowercase + string.digits, k=20))
    return f"image/upload/v{draw.randrange(1_690_000_000, 1_730_000_000)}/{code}.webp"
