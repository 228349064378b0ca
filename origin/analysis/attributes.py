"""What a family's images differ in, proposed: attributes, their values, and prompts made of them.

From the parts of their names where those tell members apart, else from their pictures.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from origin.analysis.families import Family
from origin.analysis.vocabulary import attribute_of
from origin.manifest import DEFAULT_PROMPT
from origin.try_pixels import coloured_parts

Pixels = NDArray[np.uint8]

# Of a column's values, so many must be known words for it to bear their name.
_MOST: Final = 0.5


@dataclass(frozen=True)
class Proposal:
    """``values`` per member, in the family's order; ``source`` says where they come from."""

    values: tuple[Mapping[str, str], ...]
    prompt: str
    source: str

    @property
    def vocabulary(self) -> dict[str, list[str]]:
        """Every attribute's values, the commonest words first by name."""
        names = list(self.values[0]) if self.values else []
        return {name: sorted({one[name] for one in self.values}) for name in names}


def from_names(family: Family) -> Proposal | None:
    """Attributes of the names' parts that vary; None where names say nothing."""
    if not all(family.attributes):
        return None
    parts = list(family.attributes[0])
    columns = {part: [one[part] for one in family.attributes] for part in parts}
    kept = [part for part in parts if 2 <= len(set(columns[part])) <= len(columns[part]) / 2]
    kept = kept or [part for part in parts if len(set(columns[part])) > 1]
    kept = _without_twins(kept, columns)
    if not kept:
        return None
    titles = named({part: columns[part] for part in kept})
    values = tuple({titles[part]: one[part] for part in kept} for one in family.attributes)
    return Proposal(values, DEFAULT_PROMPT, "names")


def from_pictures(arrangements: Sequence[int], thumbnails: Pixels) -> Proposal | None:
    """Attributes of (pictures, 64, 64, 3): which arrangement it is, and the colours of its parts.
    None where no part takes few colours again and again."""
    found: list[dict[str, str]] = [{} for _ in arrangements]
    several = len(set(arrangements)) > 1
    for arrangement in sorted(set(arrangements)):
        rows = [at for at, own in enumerate(arrangements) if own == arrangement]
        parts = coloured_parts(thumbnails[rows].astype(np.float32))
        if parts is None and len(rows) > 1:
            parts = _mean_colours(thumbnails[rows])
        for at, row in enumerate(rows):
            found[row] = dict(parts[at]) if parts else {}
            if several:
                found[row]["arrangement"] = f"a{arrangement + 1}"
    names = set(found[0])
    if not names or any(set(one) != names for one in found):
        return None
    return Proposal(tuple(found), DEFAULT_PROMPT, "pictures")


def named(columns: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """What to call each part: by the words it takes, or as its template does."""
    titles: dict[str, str] = {}
    for part, values in columns.items():
        title = _title(part, values)
        if title in titles.values():
            others = sum(
                re.fullmatch(rf"{title}\d*", taken) is not None for taken in titles.values()
            )
            title = f"{title}{others + 1}"
        titles[part] = title
    return titles


def family_name(family: Family) -> str:
    """What its records will call it: the words that its template repeats, and its id."""
    fixed = re.sub(r"\{[^}]*\}|\.\w+$", " ", family.template.split(" and ")[0])
    words = list(dict.fromkeys(re.findall(r"[A-Za-z0-9]+", fixed)))
    return "-".join([*words, family.id] if not words else words)[:31].rstrip("-") + (
        f"-{family.id}" if words else ""
    )


def _title(part: str, values: Sequence[str]) -> str:
    if part.startswith("part") and (known := attribute_of(set(values), _MOST)):
        return known
    return re.sub(r"\W+", "-", part).strip("-").lower() or "part"


def _without_twins(parts: list[str], columns: Mapping[str, Sequence[str]]) -> list[str]:
    """Parts that always change together say the same: the first is kept."""
    kept: list[str] = []
    for part in parts:
        pairs = [len(set(zip(columns[part], columns[other], strict=True))) for other in kept]
        own = len(set(columns[part]))
        if not any(
            own == both == len(set(columns[other])) for other, both in zip(kept, pairs, strict=True)
        ):
            kept.append(part)
    return kept


def _mean_colours(thumbnails: Pixels) -> list[dict[str, str]]:
    """The colour of what varies, where every picture has a colour of its own."""
    varying = thumbnails.astype(np.float32).std(axis=0).max(axis=-1)
    where = varying >= max(8.0, float(np.quantile(varying, 0.9)))
    if not where.any():
        return [{} for _ in thumbnails]
    means = np.rint(thumbnails[:, where].mean(axis=1)).astype(int)
    return [{"part1": "#{:02x}{:02x}{:02x}".format(*mean)} for mean in means.tolist()]
