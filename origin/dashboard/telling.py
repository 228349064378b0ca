"""The figures in sentences, for whoever pays the bill."""

from collections.abc import Sequence

from origin.dashboard.replay import Replayed
from origin.dashboard.savings import Headline, Money
from origin.dashboard.traffic import Device
from origin.dashboard.ways import FamilyWays
from origin.dashboard.words import count, money, size

COSTS = {
    "busy": "machines at work",
    "idle": "machines that waited",
    "qa": "pictures made for approval",
    "sync": "records sent to regions",
    "models": "models pulled by regions",
    "replicas": "originals pulled to be kept",
    "storage": "what regions keep",
}


def verdict(found: Headline) -> list[str]:
    """What this month came to, by currency; a loss with its largest cause."""
    if found.since is None:
        return ["Nothing was counted yet. Figures stand here a minute after the first answer."]
    return [_of_month(one) for one in found.month] or ["Nothing was counted this month yet."]


def _of_month(one: Money) -> str:
    hauls, spent = money(one.haul_avoided, one.currency), money(_spent(one), one.currency)
    if one.saved >= 0:
        return (
            f"This month {money(one.saved, one.currency)} was saved: hauls worth {hauls} did not "
            f"happen, and {spent} was spent so that they did not."
        )
    largest = max(COSTS, key=lambda name: float(getattr(one, name)))
    return (
        f"A loss: this month rehydration cost {money(-one.saved, one.currency)} more than hauling "
        f"everything would have. Hauls worth {hauls} did not happen, but {spent} was spent; most "
        f"of it, {money(getattr(one, largest), one.currency)}, went into {COSTS[largest]}."
    )


def _spent(one: Money) -> float:
    return sum(float(getattr(one, name)) for name in COSTS)


def honest(ways: Sequence[FamilyWays]) -> list[str]:
    """Where another way than rehydration is the cheapest."""
    return [
        f"For {one.property}/{one.family} the honest answer is "
        f"{'a replica' if one.cheapest == 'replica' else 'to haul'}: "
        f"{one.why}"
        for one in ways
        if one.cheapest in ("replica", "haul") and one.rehydrate is not None
    ]


def least_of(one: Replayed) -> str:
    """Which of the three ways would have been the cheapest; empty where only one is known."""
    ways = {"hauling": one.haul, "a replica": one.replica, "rehydrating": one.always}
    known = {name: cost for name, cost in ways.items() if cost is not None}
    if len(known) < 2:
        return ""
    name = min(known, key=lambda name: known[name])
    of = "the three ways" if len(known) == len(ways) else "the two ways that are known"
    return f"Of {of} {name} would have cost the least, {money(known[name], one.currency)}."


def break_even(one: Device) -> str:
    """Where a region's machines are against the line."""
    if one.break_even_per_s is None:
        return (
            "It made nothing in these days that would have been hauled, or hauling is free: there "
            "is no line to break even at."
        )
    line = (
        f"A machine at {money(one.per_hour, one.currency)} an hour breaks even at "
        f"{count(one.break_even_per_s)} images a second, of {size(one.bytes_per_image)} each at "
        f"{money(one.per_gb, one.currency)} a GB."
    )
    if one.images_per_busy_s is None or one.images_per_held_s is None:
        return line
    return (
        f"{line} It makes {count(one.images_per_busy_s)} a second when busy, and made "
        f"{count(one.images_per_held_s)} a second over all the time it was held."
    )
