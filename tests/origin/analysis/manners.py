"""How shops, sites, themes, games and media libraries call their pictures: manners of naming.

Each is a function of one thing (what it is, in which colour, from where) to the paths that it gets;
none where the thing is missing. Drawn by seeds alone.
"""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass

PRODUCTS = ("rumba", "salsa", "air-walk", "foxtrot", "polka", "slow-fox")
COLOURS = ("red", "navy", "sand", "light-grey", "mint", "black")
VIEWS = ("front", "side", "back")
SKIPPED = 0.3


@dataclass(frozen=True)
class Thing:
    """A picture's subject. ``view`` is "" where there is but one."""

    product: str
    colour: str
    view: str

    @property
    def said(self) -> tuple[str, ...]:
        return (self.product, self.colour, self.view) if self.view else (self.product, self.colour)

    @property
    def sku(self) -> int:
        """An article number: one for each product."""
        return 41_000 + 7 * int(self.code(self.product), 16) % 8_951

    @property
    def shot(self) -> int:
        """Views by number, from one on."""
        known = sorted({*VIEWS, self.view})
        return 1 + known.index(self.view)

    @property
    def season(self) -> str:
        return ("ss25", "fw25")[int(self.code(self.product), 16) % 2]

    def code(self, said: str = "") -> str:
        """Eight hexadecimal digits, of all that it is or of what is ``said``."""
        text = said or " ".join(self.said)
        return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()

    def drawn(self, manner: str) -> random.Random:
        return random.Random(f"{manner} {self.said}")


Paths = list[str]
Manner = Callable[[Thing], Paths]
MANNERS: dict[str, Manner] = {}


def manner(made: Manner) -> Manner:
    MANNERS[made.__name__] = made
    return made


def camel(words: str) -> str:
    return "".join(word.capitalize() for word in words.replace("-", " ").split())


def joined(thing: Thing, separator: str) -> str:
    return separator.join(thing.said)


@manner
def number_and_colour(thing: Thing) -> Paths:
    last = f"_{thing.view}" if thing.view else ""
    return [f"catalogue/{thing.sku}_{thing.colour}{last}.jpg"]


@manner
def number_colour_and_shot(thing: Thing) -> Paths:
    return [f"p/{thing.sku}_{thing.colour.upper()}_{thing.shot:02}.jpg"]


@manner
def numbers_alone(thing: Thing) -> Paths:
    """Article, colour and shot by number, as clothing chains do."""
    ink = int(thing.code(thing.colour), 16) % 900
    return [f"media/{thing.sku:07}_{ink:03}_{thing.shot}.jpg"]


@manner
def camel_case(thing: Thing) -> Paths:
    name = camel(" ".join(thing.said))
    return [f"Sprites/{name[0].lower()}{name[1:]}.png"]


@manner
def camel_case_and_number(thing: Thing) -> Paths:
    """A game's sprites: ``playerBlue_walk1``."""
    product = camel(thing.product)
    return [
        f"PNG/{product[0].lower()}{product[1:]}{camel(thing.colour)}_walk{thing.shot}_{at}.png"
        for at in range(1)
    ]


@manner
def twice_as_dense(thing: Thing) -> Paths:
    name = f"img/{joined(thing, '-')}"
    return [f"{name}.png", f"{name}@2x.png"]


@manner
def renditions_of_some(thing: Thing) -> Paths:
    """A weblog keeps renditions beside what was uploaded, of large ones only."""
    name = f"wp-content/uploads/2025/{1 + thing.sku % 12:02}/{joined(thing, '-')}"
    sizes = ["", "-150x150", "-300x200", "-1024x683"]
    return [f"{name}{one}.jpg" for one in sizes[: thing.drawn("weblog").randint(1, 4)]]


@manner
def thumbs_and_large(thing: Thing) -> Paths:
    name = f"products/{joined(thing, '_')}"
    return [f"{name}-thumb.jpg", f"{name}-large.jpg", f"{name}.jpg"]


@manner
def small_ones_marked(thing: Thing) -> Paths:
    name = f"assets/{joined(thing, '_')}"
    return [f"{name}.png", f"{name}_s.png"]


@manner
def small_ones_marked_first(thing: Thing) -> Paths:
    name = joined(thing, "_")
    return [f"assets/{name}.png", f"assets/thumb_{name}.png"]


@manner
def second_versions(thing: Thing) -> Paths:
    return [f"cat/{joined(thing, '_')}{thing.drawn('v').choice(['', '', '_v2', '_v3'])}.png"]


@manner
def dated_folders(thing: Thing) -> Paths:
    draw = thing.drawn("dated")
    return [
        f"files/2025-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}/{joined(thing, '-')}.jpg"
    ]


@manner
def year_and_month_folders(thing: Thing) -> Paths:
    draw = thing.drawn("month")
    return [
        f"uploads/{draw.choice([2024, 2025])}/{draw.randint(1, 12):02}/{joined(thing, '-')}.jpg"
    ]


@manner
def locale_folders(thing: Thing) -> Paths:
    own = "de_DE en_GB fr_FR".split()[: thing.drawn("locale").randint(1, 3)]
    return [f"{one}/img/{joined(thing, '_')}.jpg" for one in own]


@manner
def folders_of_initials(thing: Thing) -> Paths:
    """A shop system files pictures by their names' first two letters."""
    name = joined(thing, "_")
    return [f"catalog/product/{name[0]}/{name[1]}/{name}.jpg"]


@manner
def folders_of_initials_of_colours(thing: Thing) -> Paths:
    name = f"{thing.colour}-{thing.product}" + (f"-{thing.view}" if thing.view else "")
    return [f"catalog/product/{name[0]}/{name[1]}/{name}.jpg"]


@manner
def hashed_folders(thing: Thing) -> Paths:
    code = thing.code()
    return [f"media/{code[:2]}/{code[2:4]}/{joined(thing, '_')}.jpg"]


@manner
def hashed_names(thing: Thing) -> Paths:
    code = thing.code() + thing.code("more" + joined(thing, " "))
    return [f"{code[:2]}/{code[2:4]}/{code}.jpg"]


@manner
def parameters(thing: Thing) -> Paths:
    return [f"image?sku={thing.sku}&colour={thing.colour}&shot={thing.shot}"]


@manner
def parameters_of_renditions(thing: Thing) -> Paths:
    """An image server: the name says what it is, parameters how large."""
    name = f"is/image/shop/{thing.sku}_{thing.colour}_{thing.shot}"
    return [f"{name}?wid=300&fmt=webp", f"{name}?wid=900"]


@manner
def parameters_of_versions(thing: Thing) -> Paths:
    version = 1_600_000_000 + thing.drawn("version").randrange(10**8)
    return [f"files/{joined(thing, '-')}.jpg?v={version}"]


@manner
def folders_of_renditions(thing: Thing) -> Paths:
    name = f"{joined(thing, '-')}.jpg"
    return [f"image/upload/w_300,h_300/v1/{name}", f"image/upload/w_900,h_900/v1/{name}"]


@manner
def years_first(thing: Thing) -> Paths:
    return [f"lookbook/{2020 + thing.sku % 5}_{joined(thing, '_')}.jpg"]


@manner
def seasons_first(thing: Thing) -> Paths:
    return [f"lookbook/{thing.season.upper()}-{joined(thing, '-')}.jpg"]


@manner
def leading_zeros(thing: Thing) -> Paths:
    ink = int(thing.code(thing.colour), 16) % 40
    return [f"cards/card_{ink:04}_{thing.product}{thing.view and '_'}{thing.view}.png"]


@manner
def mixed_separators(thing: Thing) -> Paths:
    last = f".{thing.view}" if thing.view else ""
    return [f"Images/Shop {thing.product}_{thing.colour}{last}.jpg"]


@manner
def words_parted_by_one_fields_by_another(thing: Thing) -> Paths:
    return [f"kit/{joined(thing, '+')}.jpg"]


@manner
def words_parted_as_fields_are(thing: Thing) -> Paths:
    return [f"kit/{joined(thing, '-')}.jpg"]


@manner
def a_word_in_the_middle_of_some(thing: Thing) -> Paths:
    between = thing.drawn("sale").choice(["", "", "sale-"])
    last = f"-{thing.view}" if thing.view else ""
    return [f"shop/{thing.product}-{between}{thing.colour}{last}.jpg"]


@manner
def many_missing(thing: Thing) -> Paths:
    if thing.drawn("missing").random() < SKIPPED:
        return []
    return [f"shop/{joined(thing, '_')}.jpg"]


@manner
def folders_and_words(thing: Thing) -> Paths:
    last = f"-{thing.view}" if thing.view else ""
    return [f"theme/{thing.colour}/{thing.product}{last}.svg.png"]


@manner
def folders_again_in_names(thing: Thing) -> Paths:
    return [f"products/{thing.product}/{joined(thing, '_')}.jpg"]


@manner
def numbered_folders_again_in_names(thing: Thing) -> Paths:
    return [f"products/{thing.sku}/{thing.sku}-{thing.colour}-{thing.shot}.jpg"]


@manner
def marks_of_builds(thing: Thing) -> Paths:
    return [f"static/media/{joined(thing, '-')}.{thing.code()}.png"]


@manner
def marks_of_uploads(thing: Thing) -> Paths:
    code = thing.code() + thing.code("u" + joined(thing, ""))
    whole = f"{code[:8]}-{code[8:12]}-4{code[12:15]}-a{code[:3]}-{code[4:16]}"
    return [f"files/{joined(thing, '_')}_{whole}.jpg"]


@manner
def copies(thing: Thing) -> Paths:
    name = f"dam/{joined(thing, '-')}"
    return [f"{name}.jpg"] + [f"{name} (1).jpg"] * (thing.drawn("copy").random() < SKIPPED)


@manner
def capitals_by_chance(thing: Thing) -> Paths:
    draw = thing.drawn("capitals")
    said = (draw.choice([one, one, one.capitalize()]) for one in thing.said)
    return [f"cms/{'_'.join(said)}.jpg"]


@manner
def icons_by_size(thing: Thing) -> Paths:
    last = f"-{thing.view}" if thing.view else ""
    return [f"{side}x{side}/apps/{thing.product}-{thing.colour}{last}.png" for side in (24, 48)]


@manner
def icons_by_density(thing: Thing) -> Paths:
    name = "_".join(thing.said).replace("-", "_")
    return [f"res/ic_{name}_{side}dp.png" for side in (24, 48)]


@manner
def code_points(thing: Thing) -> Paths:
    first = 0x1F400 + int(thing.code(thing.product), 16) % 400
    second = 0x1F3FB + int(thing.code(thing.colour), 16) % 97
    last = f"-{thing.shot}" if thing.view else ""
    return [f"72x72/{first:x}-{second:x}{last}.png"]


@manner
def words_run_into_numbers(thing: Thing) -> Paths:
    ink = 1 + int(thing.code(thing.colour), 16) % 90
    return [f"tiles/{camel(thing.product)}{ink}{thing.view and '_'}{thing.view}.png"]


@manner
def two_codings(thing: Thing) -> Paths:
    return [f"pub/{joined(thing, '-')}.jpg", f"pub/{joined(thing, '-')}.webp"]


@manner
def colours_in_parentheses(thing: Thing) -> Paths:
    last = f" {thing.view}" if thing.view else ""
    return [f"Press/{thing.product.title()} ({thing.colour}){last}.jpg"]


@manner
def folders_all_the_way(thing: Thing) -> Paths:
    return ["tree/" + "/".join(thing.said) + "/image.jpg"]
