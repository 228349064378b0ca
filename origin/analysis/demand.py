"""What logs say of a family's images: which requests are theirs, and what they cost."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from origin.analysis.families import Family
from origin.analysis.traffic import Demand

ByPath = dict[str, list[Demand]]

DAYS_IN_A_MONTH = 30


@dataclass(frozen=True, slots=True)
class Monthly:
    """A family's part of a region's traffic in 30 days. ``misses`` are None where no log told."""

    region: str
    requests: float
    misses: float | None
    missed_bytes: float


def by_path(traffic: Iterable[Demand], prefixes: Iterable[str]) -> ByPath:
    """Demand by the path of an asset within its place, whose URLs begin with ``prefixes``."""
    found: dict[str, list[Demand]] = defaultdict(list)
    ordered = sorted(prefixes, key=len, reverse=True)
    for one in traffic:
        path = unquote(one.path)
        for prefix in ordered:
            if path.startswith(prefix):
                found[path.removeprefix(prefix)].append(one)
                break
    return found


def monthly(family: Family, demand: ByPath, days: int) -> list[Monthly]:
    """By region, scaled to a month. Empty where logs do not mention any member."""
    if not days:
        return []
    scale = DAYS_IN_A_MONTH / days
    regions: dict[str, list[Demand]] = defaultdict(list)
    for member in family.members:
        for one in demand.get(member.path.partition("?")[0], ()):
            regions[one.region].append(one)
    return [_summed(region, said, scale) for region, said in sorted(regions.items())]


def _summed(region: str, said: list[Demand], scale: float) -> Monthly:
    told = [one.misses for one in said if one.misses is not None]
    return Monthly(
        region,
        scale * sum(one.requests for one in said),
        scale * sum(told) if len(told) == len(said) else None,
        scale * sum(one.missed_bytes or 0 for one in said),
    )


def prefixes_of(customer: str, said: str | None) -> list[str]:
    """Where a customer's place begins in URLs: as the origin serves it, or at the root."""
    return [said if said.endswith("/") else f"{said}/"] if said else [f"/{customer}/", "/"]
