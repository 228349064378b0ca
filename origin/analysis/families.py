"""Families: templates of names joined with pictures that lie alike, each decision in words.

A function of the set of assets alone: in whatever order or parts they came, the answer is the same.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from origin.analysis.joined import Joined
from origin.analysis.kinds import kinds_of
from origin.analysis.neighbours import groups_of
from origin.analysis.sheets import Template
from origin.analysis.templates import FEWEST, mine
from origin.analysis.vocabulary import attribute_of

# Chosen on the tuning inventory: one product in other colours lies within 0.03 (cosine), one in 20
# unrelated drawings has another nearer than 0.08.
FARTHEST: Final = 0.03
# So many of a template's pictures have to lie alike for them to show what its names do not.
HALF: Final = 0.5
# From this share of members that lie like another member on, one alone is an outlier.
ALIKE: Final = 0.9
# So many names have to differ in a known attribute alone for it to make them a family.
FEWEST_KNOWN: Final = 8
# Kinds of so many pictures, each arranged like no other, came about by chance in the tuning
# inventory.
BY_CHANCE: Final = 10


def _unasked() -> NDArray[np.int8]:
    return np.empty(0, np.int8)


@dataclass(frozen=True, slots=True)
class Asset:
    """An image that was looked at; ``layout`` is (256,), ``embedding`` what a feature network said
    of it, (0,) where none was asked."""

    customer: str
    path: str
    digest: bytes
    size: int
    width: int
    height: int
    layout: NDArray[np.int8]
    embedding: NDArray[np.int8] = field(default_factory=_unasked)


@dataclass(frozen=True)
class Outlier:
    path: str
    why: str


@dataclass(frozen=True)
class Family:
    """``attributes`` are of each member, in order; empty where the names say nothing, and pictures
    have to. ``copies``: how many members have another's very bytes. ``arrangements``: how many
    groups of members lie alike, by member. ``why`` says how it was found."""

    id: str
    customers: tuple[str, ...]
    template: str
    members: tuple[Asset, ...]
    attributes: tuple[Mapping[str, str], ...]
    arrangements: tuple[int, ...]
    outliers: tuple[Outlier, ...]
    copies: int
    why: tuple[str, ...]

    @property
    def total_bytes(self) -> int:
        return sum(one.size for one in self.members)

    @property
    def sizes(self) -> Counter[tuple[int, int]]:
        return Counter((one.width, one.height) for one in self.members)

    def of_one_size(self) -> "Family":
        """The members of the commonest size: what one generator can be trained on."""
        size, _ = self.sizes.most_common(1)[0]
        rows = [at for at, one in enumerate(self.members) if (one.width, one.height) == size]
        return replace(
            self,
            members=tuple(self.members[at] for at in rows),
            attributes=tuple(self.attributes[at] for at in rows),
            arrangements=tuple(self.arrangements[at] for at in rows),
        )


@dataclass
class _Group:
    """Rows of a family in the making."""

    rows: list[int]
    template: str = ""
    attributes: dict[int, dict[str, str]] = field(default_factory=dict)
    why: list[str] = field(default_factory=list)
    outliers: list[tuple[int, str]] = field(default_factory=list)


def find_families(assets: Iterable[Asset], together: Sequence[Sequence[str]] = ()) -> list[Family]:
    """Families of four members or more; ``together`` lists customers who all agreed to be
    compared with one another. Anybody else's images are compared with their own alone."""
    by_customer: dict[str, dict[str, Asset]] = defaultdict(dict)
    for asset in assets:
        by_customer[asset.customer][asset.path] = asset
    pool_of = {name: pool[0] for pool in together for name in sorted(pool)}
    pools: dict[str, list[str]] = defaultdict(list)
    for name in sorted(by_customer):
        pools[pool_of.get(name, name)].append(name)
    return [
        family
        for pool in pools.values()
        for family in _in_pool([by_customer[name] for name in pool])
    ]


def _in_pool(customers: list[dict[str, Asset]]) -> list[Family]:
    assets = sorted(
        (one for own in customers for one in own.values()),
        key=lambda one: (one.customer, one.path),
    )
    if not assets:
        return []
    row_of = {(one.customer, one.path): row for row, one in enumerate(assets)}
    templates = [
        (template, [row_of[name, path] for path in template.paths])
        for name in sorted({one.customer for one in assets})
        for template in mine(one.path for one in assets if one.customer == name)
    ]
    layouts = np.stack([one.layout for one in assets])
    alike = groups_of(layouts, FARTHEST, (rows for _, rows in templates))
    named = [
        group
        for template, rows in templates
        if (group := _by_name(template, rows, alike, assets)) is not None
    ]
    groups = _joined(named, alike)
    taken = {row for group in groups for row in group.rows}
    taken |= {row for group in groups for row, _ in group.outliers}
    left = np.array([row for row in range(len(assets)) if row not in taken], np.intp)
    groups += _by_picture(left, layouts, alike, assets)
    return [_family(group, assets, alike) for group in groups]


def _by_name(
    template: Template, rows: list[int], alike: NDArray[np.intp], assets: Sequence[Asset]
) -> _Group | None:
    """A template as a family, if its names or its pictures show that it is one."""
    lying = Counter(int(alike[row]) for row in rows)
    company = sum(count for count in lying.values() if count > 1) / len(rows)
    most = lying.most_common(1)[0][1] / len(rows)
    made = template.made and (template.ruled_by_words or company >= HALF)
    why = [f"same path template {template.pattern}"]
    if made:
        why.append(
            f"{template.filled:.0%} of all combinations of its {len(template.rule)} repeating "
            "parts are there"
        )
    known = _known_by(template)
    if known:
        why.append(f"they differ in nothing but the {known}")
    if template.optional:
        why.append(f"{', '.join(template.optional)}: plain where a name has none")
    if company:
        why.append(f"{company:.0%} of its pictures have the same arrangement as another of them")
    pictured = template.worded and (most >= HALF or (company >= HALF and template.ruled_by_words))
    if not (pictured or made or known):
        return None
    group = _Group([], template.pattern, why=why)
    for at, row in enumerate(rows):
        if company >= ALIKE and lying[int(alike[row])] == 1:
            group.outliers.append((row, "named like the family, but arranged like none of it"))
            continue
        group.rows.append(row)
        group.attributes[row] = {part: column[at] for part, column in template.parts.items()}
    return group if len(group.rows) >= FEWEST else None


def _known_by(template: Template) -> str | None:
    """The attribute that says all that names differ in: what is called by countries or colours
    alone is the same thing in each of them. Few words may be such by chance."""
    if len(template.parts) != 1:
        return None
    (values,) = (set(column) for column in template.parts.values())
    return attribute_of(values, ALIKE) if len(values) >= FEWEST_KNOWN else None


def _joined(named: list[_Group], alike: NDArray[np.intp]) -> list[_Group]:
    """Groups of which half of the smaller lies like members of the other are one."""
    holders: dict[int, set[int]] = defaultdict(set)
    for at, group in enumerate(named):
        for row in group.rows:
            holders[int(alike[row])].add(at)
    shared: Counter[tuple[int, int]] = Counter()
    for at, group in enumerate(named):
        for row in group.rows:
            for other in holders[int(alike[row])] - {at}:
                shared[at, other] += 1
    joined = Joined(len(named))
    for (one, other), rows in shared.items():
        if 2 * rows >= len(named[one].rows) and len(named[one].rows) <= len(named[other].rows):
            joined.join(one, other)
    return [_as_one([named[at] for at in members]) for members in joined.groups()]


def _as_one(groups: list[_Group]) -> _Group:
    if len(groups) == 1:
        return groups[0]
    whole = _Group([], " and ".join(group.template for group in groups))
    whole.why = [f"{len(groups)} path templates whose pictures have the same arrangements"]
    parts = {tuple(one) for group in groups for one in group.attributes.values()}
    for group in groups:
        whole.rows += group.rows
        whole.outliers += group.outliers
        whole.why += group.why
        if len(parts) == 1:
            whole.attributes |= group.attributes
    return whole


def _by_picture(
    rows: NDArray[np.intp],
    layouts: NDArray[np.int8],
    alike: NDArray[np.intp],
    assets: Sequence[Asset],
) -> list[_Group]:
    sizes = [(assets[row].width, assets[row].height) for row in rows]
    embeddings = _embeddings([assets[row] for row in rows])
    kinds = kinds_of(layouts[rows], embeddings, sizes, alike[rows])
    cells: dict[tuple[int, int], list[int]] = defaultdict(list)
    for kind, own in _grouped(rows, kinds).items():
        counts = Counter(alike[own].tolist())
        company = sum(count for count in counts.values() if count > 1)
        believed = 2 * company >= len(own) or len(own) > BY_CHANCE
        for row in own:
            cells[kind, 0 if believed else int(alike[row])].append(row)
    return [
        _Group(cell, why=[_of_pictures({int(alike[row]) for row in cell})])
        for cell in cells.values()
        if len({assets[row].digest for row in cell}) >= FEWEST
    ]


def _grouped(rows: NDArray[np.intp], labels: NDArray[np.intp]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for row, label in zip(rows.tolist(), labels.tolist(), strict=True):
        found[label].append(row)
    return found


def _of_pictures(arrangements: set[int]) -> str:
    if len(arrangements) == 1:
        return "the same arrangement in every picture; names say nothing"
    return f"{len(arrangements)} arrangements of one size, built alike; names say nothing"


def _embeddings(assets: Sequence[Asset]) -> NDArray[np.int8]:
    """(pictures, features); none without a network. A picture that could not be read when it was
    asked is all noughts: like nothing."""
    features = max((len(one.embedding) for one in assets), default=0)
    found = np.zeros((len(assets), features), np.int8)
    for row, one in enumerate(assets):
        found[row, : len(one.embedding)] = one.embedding
    return found


def _family(group: _Group, assets: Sequence[Asset], alike: NDArray[np.intp]) -> Family:
    rows = sorted(group.rows)
    members = tuple(assets[row] for row in rows)
    numbers = {cell: at for at, cell in enumerate(dict.fromkeys(int(alike[row]) for row in rows))}
    said = f"{members[0].customer} {group.template or members[0].digest.hex()}"
    return Family(
        id=hashlib.blake2b(said.encode(errors="replace"), digest_size=4).hexdigest(),
        customers=tuple(sorted({one.customer for one in members})),
        template=group.template,
        members=members,
        attributes=tuple(group.attributes.get(row, {}) for row in rows),
        arrangements=tuple(numbers[int(alike[row])] for row in rows),
        outliers=tuple(Outlier(assets[row].path, why) for row, why in sorted(group.outliers)),
        copies=len(members) - len({one.digest for one in members}),
        why=tuple(group.why),
    )
