"""Money: one function for past and forecast, and where each way of serving a miss wins."""

import datetime
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvsync.errors import InputError
from origin.economics.costs import Statement, Usage, bill, saved
from origin.economics.forecast import (
    MONTH_S,
    Demand,
    Generator,
    compare,
    hauling,
    least_images_to_rehydrate,
    least_misses_to_rehydrate,
    least_misses_to_replicate,
)
from origin.economics.price_book import PRESETS, Prices, Tier, preset, read_price_book

DAY = datetime.date(2026, 11, 21)
SEED = preset("seed").on(DAY)
AMOUNT = st.floats(0, 1e15)
USAGES = st.builds(Usage, *[AMOUNT] * len(Usage.__slots__))
BOOKS = st.sampled_from(sorted(path.stem for path in PRESETS.glob("*.toml")))
SEED_CASE = Demand(images=216, bytes_per_image=50e3, misses=200e6, peak=5.0)
HOST = Generator("cpu", images_per_s=40.0, model_bytes=1e6, record_bytes=474)


def saved_in_usd(usage: Usage) -> Statement:
    return saved(usage, SEED, "cpu", "USD")


@given(USAGES, BOOKS)
def test_what_is_saved_is_the_difference_of_two_bills(usage: Usage, book: str) -> None:
    prices = preset(book).on(DAY)
    before, after = bill(usage.as_hauled(), prices, "cpu"), bill(usage, prices, "cpu")
    found = saved(usage, prices, "cpu", "USD")
    assert found.saved == pytest.approx(before - after, rel=1e-9, abs=1e-6 * (before + after))


@given(USAGES, st.floats(1, 1e12))
def test_avoiding_more_never_saves_less(usage: Usage, more: float) -> None:
    grown = replace(usage, avoided_bytes=usage.avoided_bytes + more)
    assert saved_in_usd(grown).saved >= saved_in_usd(usage).saved


@given(USAGES, st.floats(0, 1e9))
def test_a_machine_that_waits_costs_as_much_as_one_that_works(usage: Usage, more: float) -> None:
    busier = replace(usage, busy_s=usage.busy_s + more)
    idler = replace(usage, idle_s=usage.idle_s + more)
    assert saved_in_usd(busier).spent == pytest.approx(saved_in_usd(idler).spent)


@given(st.lists(st.floats(0, 2e14), min_size=2, max_size=6))
def test_tiers_are_by_the_month_however_it_is_cut(parts: list[float]) -> None:
    prices = preset("s3-internet").on(DAY)
    total, statement = Usage(), saved(Usage(), prices, "cpu", "USD")
    for part in parts:
        grown = total + Usage(avoided_bytes=part)
        statement += saved(grown, prices, "cpu", "USD") - saved(total, prices, "cpu", "USD")
        total = grown
    assert statement.haul_avoided == pytest.approx(prices.hauling(sum(parts)), abs=1e-6)


def test_a_month_in_the_second_tier_pays_the_first_in_full() -> None:
    prices = preset("s3-internet").on(DAY)
    assert prices.hauling(12_000e9) == pytest.approx(10_000 * 0.09 + 2_000 * 0.085)


def test_nothing_is_saved_where_hauling_is_free() -> None:
    free = preset("s3-cloudfront").on(DAY)
    lost = saved(Usage(avoided_bytes=1e15, busy_s=3600), free, "h200", "USD")
    assert lost.saved == -3.0


def test_an_image_of_50_kb_costs_what_a_machine_at_3_dollars_makes_in_a_333rd_second() -> None:
    one = Usage(avoided_bytes=50e3, busy_s=1 / 333)
    assert abs(saved(one, SEED, "h200", "USD").saved) < 1e-8


def test_currencies_are_never_mixed() -> None:
    nothing = Usage()
    with pytest.raises(InputError, match="USD and EUR cannot be added"):
        saved(nothing, SEED, "cpu", "USD") + saved(nothing, SEED, "cpu", "EUR")


def test_the_seed_case_by_hand() -> None:
    found = compare(SEED_CASE, HOST, SEED)
    hosts = 14  # 200e6 / 2 592 000 s * 5 / (0.7 * 40) = 13.8
    records = (216 * 474 + 1e6) / 1e9 * 0.023
    assert HOST.hosts(SEED_CASE) == hosts
    assert found.haul == pytest.approx(500.0)
    assert found.replica == pytest.approx(216 * 50e3 / 1e9 * 0.023)
    assert found.rehydrate == pytest.approx(hosts * 720 * 0.04 + records)
    assert found.cheapest == "replica"


def test_a_shared_machine_is_charged_by_the_share_that_peaks_take() -> None:
    shared = replace(HOST, shared=True)
    assert shared.hosts(SEED_CASE) == pytest.approx(200e6 / MONTH_S * 5 / 28)
    assert compare(SEED_CASE, shared, SEED).rehydrate < compare(SEED_CASE, HOST, SEED).rehydrate


@given(st.floats(20, 500), st.integers(100, 10**6), st.floats(1, 8))
def test_rehydrating_begins_to_win_where_it_is_said_to(
    rate: float, images: int, peak: float
) -> None:
    demand = Demand(images, 50e3, misses=1.0, peak=peak)
    host = replace(HOST, images_per_s=rate)
    least = least_misses_to_rehydrate(demand, host, SEED)
    if least is None:
        found = compare(demand.at(1e6), host, SEED)
        assert found.haul < found.rehydrate
        return
    there, before = (compare(demand.at(least * near), host, SEED) for near in (1 + 1e-6, 0.999))
    assert there.rehydrate <= there.haul * (1 + 1e-6)
    assert before.rehydrate > before.haul


def test_a_slow_generator_never_wins() -> None:
    slow = replace(HOST, device="h200", images_per_s=33.0)
    assert least_misses_to_rehydrate(SEED_CASE, slow, SEED) is None


def test_a_replica_wins_when_an_image_is_missed_every_other_month() -> None:
    assert least_misses_to_replicate(SEED_CASE, SEED) == pytest.approx(0.023 / 0.05)


def test_so_many_images_that_keeping_them_costs_more_than_making_them() -> None:
    images = least_images_to_rehydrate(SEED_CASE, HOST, SEED)
    assert images is not None
    more = compare(replace(SEED_CASE, images=round(images * 1.001)), HOST, SEED)
    fewer = compare(replace(SEED_CASE, images=round(images * 0.999)), HOST, SEED)
    assert more.rehydrate < more.replica and fewer.replica < fewer.rehydrate


def test_changed_images_are_hauled_once_for_a_replica_and_sent_as_records_otherwise() -> None:
    changing = replace(SEED_CASE, misses=0.0, change=1.0)
    found = compare(changing, replace(HOST, shared=True), SEED)
    assert found.replica == pytest.approx(216 * 50e3 / 1e9 * (0.05 + 0.023))
    assert found.rehydrate == pytest.approx((216 * 474 + 1e6) / 1e9 * (0.05 + 0.023))


def test_hauling_is_the_demand_itself() -> None:
    assert hauling(SEED_CASE).hauled_bytes == 10e12


def test_a_later_price_leaves_the_past_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "book.toml"
    later = "[[prices]]\nsince = 2027-01-01\nmiddle_mile = [{ per_gb = 9.0 }]\ndevice_per_hour = {}"
    path.write_text((PRESETS / "seed.toml").read_text() + later)
    book = read_price_book(path)
    assert book.on(DAY).hauling(1e9) == 0.05
    assert book.on(datetime.date(2027, 1, 1)).hauling(1e9) == 9.0


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ('currency = "USD"', 'currency = "dollars"'),
        ("per_gb = 0.05", "per_gb = -1"),
        ("middle_mile = [{ per_gb = 0.05 }]", "middle_mile = []"),
        ("[{ per_gb = 0.05 }]", "[{ per_gb = 0.05, up_to_gb = 5 }]"),
        ("[{ per_gb = 0.05 }]", "[{ up_to_gb = 5, per_gb = 1 }, { up_to_gb = 5, per_gb = 1 }]"),
        ("since = 2026-01-01", "since = 2026-01-01\nsurcharge = 1"),
        ("since = 2026-01-01", "since = yesterday"),
    ],
)
def test_a_bad_book_is_refused_by_name(tmp_path: Path, change: str, complaint: str) -> None:
    path = tmp_path / "book.toml"
    path.write_text((PRESETS / "seed.toml").read_text().replace(change, complaint))
    with pytest.raises(InputError, match="book.toml"):
        read_price_book(path)


def test_a_day_before_the_book_and_a_device_that_it_does_not_price_are_told() -> None:
    with pytest.raises(InputError, match="begins 2026-01-01, after 2025-12-31"):
        preset("seed").on(datetime.date(2025, 12, 31))
    with pytest.raises(InputError, match="no price for the device 'abacus'; the book has cpu"):
        SEED.device("abacus")
    with pytest.raises(InputError, match="shipped are .*seed"):
        preset("gold")


def test_every_shipped_book_names_its_source() -> None:
    for path in PRESETS.glob("*.toml"):
        book = read_price_book(path)
        assert book.name == path.stem and len(book.source) > 20


def test_tiers_end_in_one_without_end() -> None:
    prices = Prices(DAY, (Tier(1.0, 1.0), Tier(0.5)), {})
    assert prices.hauling(3e9) == 1.0 + 2 * 0.5
