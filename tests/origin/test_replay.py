"""Days that are past, answered by another policy and priced as what was."""

import datetime
from dataclasses import astuple, fields, replace
from typing import Any

import numpy as np
import pytest

from origin.economics.costs import Usage, bill
from origin.economics.months import Floats
from origin.economics.price_book import preset
from origin.economics.replay import Answered, Days, added, costs_by_day, economical

FIRST = datetime.date(2026, 11, 1)
SEED = preset("seed").on(FIRST)
IMAGE = 50_000.0
# A CPU host that is held all day, and makes 40 images a second when it works.
ONE: dict[str, Any] = dict(
    misses=1_000_000,
    miss_bytes=1_000_000 * IMAGE,
    lost=10_000,
    lost_bytes=10_000 * IMAGE,
    allocated_s=86_400,
    down=0.1,
    log_bytes=2_000_000,
    model_bytes=1_000_000,
    kept_byte_s=0.0,
    inventory_bytes=13e6,
    changed=2,
    changed_bytes=2 * IMAGE,
    images_per_s=40.0,
    device="cpu",
    prices=SEED,
)
OF_DAYS = {field.name for field in fields(Days) if field.type is Floats}
Costs = dict[Answered, Floats | None]
LOST = 10_000 * 50e3 / 1e9 * 0.05


def days(count: int, **changes: Any) -> Days:
    every = ONE | changes
    arrays = {name: np.full(count, every[name], np.float64) for name in OF_DAYS}
    prices = [every["prices"]] * count
    dates = [FIRST + datetime.timedelta(number) for number in range(count)]
    return Days(dates, **{**every, **arrays, "prices": prices})


def cost_of(answered: Answered, **changes: Any) -> float:
    """Of one day."""
    costs = costs_by_day(days(1, **changes), answered)
    assert costs is not None
    return float(costs[0])


def costs_in(found: Floats | None) -> list[float]:
    assert found is not None
    return [float(one) for one in found]


def test_a_day_costs_by_its_own_prices() -> None:
    dearer = preset("s3-internet").on(FIRST)
    many = days(4)
    mixed = replace(many, prices=[SEED, dearer, dearer, SEED])
    by_prices = [costs_in(costs_by_day(days(4, prices=one), "haul")) for one in (SEED, dearer)]
    found = costs_in(costs_by_day(mixed, "haul"))
    assert found == [
        pytest.approx(by_prices[number][day]) for day, number in enumerate((0, 1, 1, 0))
    ]


def test_each_way_costs_what_a_hand_computes() -> None:
    assert cost_of("haul") == pytest.approx(LOST + 2.5)
    assert cost_of("replica") == pytest.approx(LOST + 1e5 / 1e9 * 0.05 + 0.013 / 30 * 0.023)
    # The host is paid all day: 25 000 of 86 400 seconds it would have worked.
    held = 24 * 0.04 + 3e6 / 1e9 * 0.05
    assert cost_of("rehydrate") == pytest.approx(LOST + held)
    assert cost_of("resilience") == pytest.approx(LOST + 0.9 * 2.5 + held)


def test_a_machine_that_is_held_too_short_is_held_for_longer() -> None:
    made = cost_of("rehydrate", allocated_s=3_600.0)
    assert made == pytest.approx(LOST + 25_000 / 3_600 * 0.04 + 3e6 / 1e9 * 0.05)


def test_days_add_up_to_the_month_whatever_its_tiers() -> None:
    many = days(30, prices=preset("s3-internet").on(FIRST), miss_bytes=1e12)
    costs = costs_by_day(many, "haul")
    used = many.usage("haul")
    assert costs is not None and used is not None
    whole = Usage(*(float(np.broadcast_to(one, 30).sum()) for one in astuple(used)))
    assert sum(costs) == pytest.approx(bill(whole, many.prices[0], "cpu"))
    assert costs[-1] < costs[0]


def test_a_month_begins_with_its_first_tier_again() -> None:
    many = days(61, prices=preset("s3-internet").on(FIRST), miss_bytes=1e12)
    costs = costs_by_day(many, "haul")
    assert costs is not None and costs[30] == pytest.approx(costs[0])


def test_what_nobody_knows_has_no_cost() -> None:
    assert costs_by_day(days(2, images_per_s=None), "rehydrate") is None
    assert costs_by_day(days(2, inventory_bytes=None), "replica") is None
    one, other = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    assert added([one, None]) is None and added([]) is None
    assert costs_in(added([one, other])) == [4.0, 6.0]


def test_economical_takes_what_was_cheapest_before() -> None:
    cheap, dear, dearest = (np.full(4, cost) for cost in (1.0, 2.0, 9.0))
    costs: Costs = {"haul": dear, "replica": cheap, "rehydrate": dearest, "resilience": dear}
    assert economical(costs) == ["rehydrate", "replica", "replica", "replica"]
    assert economical({**costs, "rehydrate": None, "replica": None}) == ["haul"] * 4


def test_economical_forgets_what_is_more_than_thirty_days_past() -> None:
    haul = np.array([10.0] + [1.0] * 39)
    made = np.array([0.0] + [1.1] * 39)
    chosen = economical({"haul": haul, "replica": None, "rehydrate": made, "resilience": None})
    assert chosen[1:31] == ["rehydrate"] * 30 and chosen[31:] == ["haul"] * 9
