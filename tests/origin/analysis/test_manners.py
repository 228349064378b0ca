"""In whatever manner a shop calls its pictures, one rule's are a family, and strays are none."""

import random
from itertools import product

import pytest

from bench._grouping import agreement
from origin.analysis.attributes import from_names
from origin.analysis.families import Asset, find_families
from origin.analysis.templates import mine
from tests.origin.analysis.manners import COLOURS, MANNERS, PRODUCTS, VIEWS, Manner, Thing
from tests.origin.analysis.test_families import layout

STRAYS = "summer winter sale office team city river garden launch people street paper".split()
# Each thing's folders are its own, and hold one name.
UNTOLD = ("folders_all_the_way",)


def shop(manner: Manner) -> dict[str, tuple[str, int]]:
    """Path to family and shape: six products in six colours from three sides, and strays."""
    found: dict[str, tuple[str, int]] = {}
    things = [Thing(*said) for said in product(PRODUCTS, COLOURS, VIEWS)]
    for thing in things:
        for path in manner(thing):
            shape = 10 * PRODUCTS.index(thing.product) + thing.shot
            found.setdefault(path, ("shoes", shape))
    draw = random.Random(1)
    for at in range(60):
        name = "-".join(draw.sample(STRAYS, draw.randint(1, 3)))
        month = draw.randint(1, 12)
        found.setdefault(f"blog/2025/{month:02}/{name}.jpg", ("", 1_000 + at))
        found.setdefault(f"uploads/IMG_{draw.randrange(9_999):04}.jpg", ("", 2_000 + at))
    return found


def grouped(shown: dict[str, tuple[str, int]], pictured: bool) -> float:
    """How well groups agree with families (adjusted Rand index); unless ``pictured``, pictures say
    nothing."""
    assets = []
    for at, (path, (_, shape)) in enumerate(shown.items()):
        seen = layout(shape, at + 1) if pictured else layout(5_000 + at)
        assets.append(Asset("shop", path, path.encode(), 1_000, 96, 96, seen))
    of = {one.path: family.id for family in find_families(assets) for one in family.members}
    truth = [label or path for path, (label, _) in shown.items()]
    return agreement(truth, [of.get(path, path) for path in shown])[0]


# By numbers or codes alone nothing is told from chance without a look.
PICTURED = ("hashed_names", "numbers_alone")


@pytest.mark.parametrize("called", sorted({*MANNERS} - {*PICTURED, *UNTOLD}))
def test_names_alone_tell_a_family(called: str) -> None:
    assert grouped(shop(MANNERS[called]), pictured=False) >= 0.9


def test_numbers_need_pictures_that_lie_alike() -> None:
    shown = shop(MANNERS["numbers_alone"])
    assert grouped(shown, pictured=True) >= 0.9 > grouped(shown, pictured=False)


def test_an_optional_part_is_plain_where_a_name_lacks_it() -> None:
    codes = "af al bd bg bo by cm co".split()
    paths = [f"assets/flag_{code}{end}.png" for code in codes for end in ("", "_s")]
    (template,) = mine(paths)
    assert template.pattern == "/assets/flag_{part1}[_{part2}].png"
    assert template.optional == ("part2",) and set(template.parts["part2"]) == {"plain", "s"}
    assets = [
        Asset("shop", path, path.encode(), 9, 96, 96, layout(at)) for at, path in enumerate(paths)
    ]
    (family,) = find_families(assets)
    assert "part2: plain where a name has none" in family.why
    proposal = from_names(family)
    assert proposal is not None and proposal.vocabulary["size"] == ["plain", "s"]


def test_a_word_between_some_names_is_a_part() -> None:
    paths = [
        f"shop/{what}-{'sale-' if (at + of) % 3 == 0 else ''}{colour}.jpg"
        for at, what in enumerate(("rumba", "salsa", "polka", "tango"))
        for of, colour in enumerate(COLOURS)
    ]
    (template,) = mine(paths)
    assert template.pattern == "/shop/{part1}[-{part2}]-{part3}.jpg"
    assert set(template.parts["part2"]) == {"plain", "sale"}


def test_albums_that_count_from_one_are_no_rule() -> None:
    albums = {"paris": 9, "rome": 14, "oslo": 23, "bern": 5}
    paths = [f"trips/{name}-{at:02}.jpg" for name, count in albums.items() for at in range(count)]
    assert not any(template.made for template in mine(paths))


def test_two_rules_in_one_folder_are_two_families() -> None:
    shoes = [f"all/{what}_{one}.jpg" for what in ("rumba", "salsa", "polka") for one in COLOURS]
    cards = [f"all/{suit}-{at}-deck.jpg" for suit in ("heart", "spade") for at in range(2, 11)]
    assert sorted(len(template.paths) for template in mine(shoes + cards)) == [18, 18]


def test_an_odd_name_beside_a_rule_is_left_out() -> None:
    paths = [f"a/{what}-{one}.jpg" for what in ("rumba", "salsa", "polka") for one in COLOURS]
    (template,) = mine([*paths, "a/size-chart-of-shoes.jpg", "a/red-carpet.jpg"])
    assert set(template.paths) == set(paths)
