"""The same demand under other circumstances, without a ledger."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from origin.dashboard.traffic import percentile
from origin.dashboard.words import count, day, grain, money, seconds, share, size
from origin.economics.costs import Usage
from origin.economics.price_book import preset
from origin.economics.what_if import Change, usage_if

WAS = Usage(
    hauled_bytes=1e9,
    hauled_requests=20_000,
    avoided_bytes=4e9,
    avoided_requests=80_000,
    sync_bytes=1e6,
    busy_s=1_000,
    idle_s=3_000,
)
AMOUNTS = st.floats(0, 1e12)


@given(st.builds(Usage, *[AMOUNTS] * 10))
def test_nothing_changed_is_as_it_was(usage: Usage) -> None:
    found = usage_if(usage, 1.0, None)
    assert found.as_hauled() == usage.as_hauled()
    assert found.busy_s + found.idle_s == pytest.approx(usage.busy_s + usage.idle_s)


@given(st.floats(0.01, 100), st.just(0.0) | st.floats(1e-6, 1e6))
def test_the_demand_is_met_whatever_machines_there_are(times: float, held: float) -> None:
    found = usage_if(WAS, times, held)
    assert found.as_hauled().hauled_bytes == pytest.approx(times * 5e9)
    assert found.busy_s <= held * (1 + 1e-9) or found.avoided_bytes == 0


def test_what_machines_cannot_make_is_hauled() -> None:
    found = usage_if(WAS, 8.0, 4_000.0)
    assert (found.busy_s, found.idle_s) == (4_000, 0)
    assert found.avoided_bytes == pytest.approx(16e9)
    assert found.hauled_bytes == pytest.approx(8e9 + 16e9)


def test_better_caches_leave_fewer_misses() -> None:
    assert Change(hit_ratio=0.9).misses(answers=1_000, misses=200) == pytest.approx(0.5)
    assert Change().misses(answers=1_000, misses=200) == 1.0


def test_a_price_takes_the_place_of_every_tier() -> None:
    prices = preset("s3-internet").on(datetime.date(2026, 11, 21))
    changed = Change(per_gb=0.01, device_per_hour=1.5).prices(prices, "h200")
    assert changed.hauling(100_000e9) == pytest.approx(1_000)
    assert changed.device("h200") == 1.5 and changed.device("cpu") == 0.04


def test_percentiles_are_even_within_a_bucket() -> None:
    counts = [0.0] * 14
    assert percentile(counts, 0.5) is None
    counts[4] = 100
    assert percentile(counts, 0.5) == pytest.approx(0.0175)
    counts[13] = 100
    assert percentile(counts, 0.99) == 10.0


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (1234.5, "$1,234.50"),
        (-0.05, "−$0.05"),
        (0.0003, "$0.00030"),
        (0.0, "$0.00"),
        (-1e-19, "$0.00"),
        (0.009996, "$0.0100"),
    ],
)
def test_small_money_keeps_digits_that_say_something(amount: float, words: str) -> None:
    assert money(amount, "USD") == words


def test_amounts_that_stand_together_have_the_same_decimals() -> None:
    least = grain([57.18, 0.0002])
    assert money(57.18, "USD", least) == "$57.18"
    assert money(-0.0002, "USD", least) == "−<$0.01" and money(0.0, "USD", least) == "$0.00"
    # What little traffic comes to is seen to move.
    least = grain([0.0523, -0.00031])
    assert [money(one, "USD", least) for one in (0.0523, -0.00031)] == ["$0.0523", "−$0.0003"]


def test_figures_as_people_read_them() -> None:
    assert share(0.0000379) == "0.0038 %"
    assert size(1_222_000_000_000) == "1.2 TB" and size(999) == "999 B"
    assert day("2026-11-01") == "1 Nov 2026" and day("2026-11") == "Nov 2026"
    assert money(2, "CHF") == "CHF 2.00"
    assert share(0.123) == "12.3 %" and share(None) == "–"
    assert seconds(0.0425) == "42 ms" and seconds(2.5) == "2.5 s"
    assert count(1_234_567) == "1,234,567" and count(0.46) == "0.46"
