"""Groups: by names, by pictures, within a customer, and the same however the work was split."""

import random
from collections.abc import Iterator

import numpy as np
import pytest

from bench._grouping import agreement
from origin.analysis.attributes import from_names
from origin.analysis.families import Asset, Family, find_families
from origin.analysis.folders import generalise, merge, sketch
from origin.analysis.names import Name, apart
from origin.analysis.neighbours import BLOCK, blocks_of, groups_of, keys_of
from origin.analysis.sheets import Template
from origin.analysis.templates import mine


def layout(seed: int, noise: int = 0) -> np.ndarray:
    """A layout of its own for each seed; with noise, nearly that."""
    edges = np.abs(np.random.default_rng(seed).standard_normal(256))
    edges *= np.random.default_rng([seed, 1]).random(256) < 0.5
    if noise:
        edges += 0.03 * np.abs(np.random.default_rng([seed, noise]).standard_normal(256))
    found: np.ndarray = np.rint(127 * edges / np.linalg.norm(edges)).astype(np.int8)
    return found


def asset(path: str, shape: int, customer: str = "shop") -> Asset:
    noise = sum(path.encode()) + 1
    return Asset(customer, path, path.encode(), 1_000, 96, 96, layout(shape, noise))


def shoes(customer: str = "shop", named: bool = True) -> list[Asset]:
    """Two views in sixteen colours."""
    made = []
    for view in (1, 2):
        for lace in ("red", "blue", "mint", "sand"):
            for sole in ("black", "white", "gum", "navy"):
                name = f"shoe-{lace}-{sole}-{('front', 'side')[view - 1]}"
                if not named:
                    name = random.Random(name).randbytes(8).hex()
                made.append(asset(f"shoes/{name}.jpg", view, customer))
    return made


def strangers(count: int) -> list[Asset]:
    return [asset(f"uploads/IMG_{at:04}.jpg", 100 + at) for at in range(count)]


def told(families: list[Family]) -> list[tuple[str, int]]:
    return [(family.template, len(family.members)) for family in families]


def test_a_template_and_its_pictures_make_a_family() -> None:
    (family,) = find_families(shoes() + strangers(20))
    assert told([family]) == [("/shoes/shoe-{part2}-{part3}-{part4}.jpg", 32)] or (
        len(family.members) == 32
    )
    proposal = from_names(family)
    assert proposal is not None
    assert {len(values) for values in proposal.vocabulary.values()} == {4, 2}
    assert "view" in proposal.vocabulary and "colour" in proposal.vocabulary


def test_names_that_say_nothing_leave_it_to_the_pictures() -> None:
    families = find_families(shoes(named=False) + strangers(20))
    assert [len(family.members) for family in families] == [16, 16]
    assert families[0].why == ("the same arrangement in every picture; names say nothing",)


def test_numbered_uploads_are_no_family() -> None:
    assert find_families(strangers(50)) == []


def test_what_is_named_alike_but_arranged_otherwise_is_an_outlier() -> None:
    odd = asset("shoes/shoe-red-chart-side.jpg", 77)
    (family,) = find_families([*shoes(), odd])
    assert [one.path for one in family.outliers] == [odd.path]
    assert "arranged like none of it" in family.outliers[0].why


def test_customers_are_never_compared_unless_both_agreed() -> None:
    both = [*shoes("one", named=False), *shoes("two", named=False)]
    apart = find_families(both)
    assert {family.customers for family in apart} == {("one",), ("two",)}
    joined = find_families(both, [["one", "two"]])
    assert [len(family.members) for family in joined] == [32, 32]
    assert {family.customers for family in joined} == {("one", "two")}


@pytest.mark.parametrize("seed", range(4))
def test_any_split_into_shards_gives_the_same_groups(seed: int) -> None:
    every = shoes() + shoes(named=False) + strangers(40)
    draw = random.Random(seed)
    shards: list[list[Asset]] = [[] for _ in range(draw.randrange(2, 7))]
    for one in every:
        draw.choice(shards).append(one)
    draw.shuffle(shards)
    gathered = [one for shard in shards for one in shard]
    assert _plain(find_families(gathered)) == _plain(find_families(every))


def _plain(families: list[Family]) -> list[tuple[object, ...]]:
    return [
        (one.id, one.template, [member.path for member in one.members], one.arrangements, one.why)
        for one in families
    ]


def test_sketches_of_shards_merge_to_the_sketch_of_the_whole() -> None:
    names = [template for template in _names(500)]
    parts = [sketch(names[at::7]) for at in range(7)]
    assert merge(parts) == sketch(names)
    assert generalise({("a",): merge(parts), ("b",): sketch(names)}).keys() == {("a",), ("b",)}


def _names(count: int) -> Iterator[Name]:
    return (apart(f"a/{at}.jpg") for at in range(count))


def patterns(paths: list[str]) -> list[str]:
    found: list[Template] = mine(paths)
    return [template.pattern for template in found]


def test_folders_that_hold_the_same_names_are_a_part() -> None:
    paths = [f"{hue}/{what}.png" for hue in ("red", "blue") for what in ("cup", "hat", "pen")]
    assert patterns(paths) == ["/{part1}/{part2}.png"]


def test_query_parameters_are_parts_by_their_names() -> None:
    paths = [f"p?kind={kind}&hue={hue}" for kind in ("cup", "hat") for hue in ("red", "blue")]
    assert patterns(paths) == ["/p?hue={hue}&kind={kind}"]


def test_values_of_several_words_are_cut_where_they_repeat() -> None:
    paths = [
        f"e/{who}-{tone}-tone.png"
        for who in ("waving-hand", "fist", "ok-hand", "thumbs-up")
        for tone in ("light", "medium-light", "dark", "medium-dark")
    ]
    (template,) = mine(paths)
    assert template.pattern == "/e/{part1}-{part2}-tone.png"
    assert set(template.parts["part2"]) == {"light", "medium-light", "dark", "medium-dark"}


def test_blocks_hold_every_row_and_are_small() -> None:
    layouts = np.stack([layout(at) for at in range(2_000)] + [layout(7)] * 700)
    blocks = list(blocks_of(keys_of(layouts, 0)))
    assert max(map(len, blocks)) <= BLOCK
    groups = groups_of(layouts, 0.05)
    assert len({int(groups[at]) for at in range(2_000, 2_700)}) == 1


def test_pictures_without_an_edge_are_like_nothing() -> None:
    assert groups_of(np.zeros((40, 256), np.int8), 0.05).tolist() == list(range(40))


def test_agreement_is_one_for_the_same_groups_and_nought_by_chance() -> None:
    truth = [str(at // 10) for at in range(1_000)]
    assert agreement(truth, [f"x{one}" for one in truth]) == (1.0, 1.0)
    mixed = random.Random(0).sample(truth, len(truth))
    assert abs(agreement(truth, mixed)[0]) < 0.02


def test_folders_are_known_again_in_names_whatever_parts_their_words() -> None:
    motions = ("Call me hand", "Thumbs up", "Crossed fingers", "Heart hands")
    made = [
        asset(f"assets/{motion}/{tone}/{motion.lower().replace(' ', '_')}_{tone.lower()}.webp", at)
        for at, motion in enumerate(motions)
        for tone in ("Light", "Medium-Light", "Medium", "Dark")
    ]
    (family,) = find_families(made)
    assert told([family]) == [("/assets/{part1}/{part2}/{part1}_{part2}.webp", 16)]


COUNTRIES = "ad af ag al am ao ar at au az ba bb bd be bf bg".split()


@pytest.mark.parametrize(
    "manner",
    [
        "locale/{}/flag.webp",
        "flags/{}.webp",
        "img/flag-{}_big.webp",
        "thumb/Flag_of_{0}.svg/96px-Flag_of_{0}.svg.webp",
    ],
)
def test_what_differs_in_nothing_but_the_country_is_a_family(manner: str) -> None:
    flags = [asset(manner.format(code), 300 + at) for at, code in enumerate(COUNTRIES)]
    others = [asset(manner.format(f"q{letter}q"), 400 + ord(letter)) for letter in "x"]
    (family,) = find_families([*flags, *others, *strangers(20)])
    assert len(family.members) == len(COUNTRIES) + 1
    assert "they differ in nothing but the country" in family.why
    proposal = from_names(family)
    assert proposal is not None and list(proposal.vocabulary) == ["country"]


@pytest.mark.parametrize(
    "words", ["in to me us", "anna bert carl dora emil fritz gerd hans ida jo"]
)
def test_short_words_and_people_are_no_countries(words: str) -> None:
    named = [asset(f"users/{one}/avatar.webp", 500 + at) for at, one in enumerate(words.split())]
    assert find_families([*named, *strangers(20)]) == []
