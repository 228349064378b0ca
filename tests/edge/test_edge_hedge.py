"""Hedging: never more than its share of all misses, and only when a peer is later than usual."""

from hypothesis import given
from hypothesis import strategies as st

from edge.hedge import Bucket, Latencies


@given(st.lists(st.booleans(), max_size=2_000))
def test_hedges_stay_within_a_hundredth_of_misses_from_the_first_on(wanted: list[bool]) -> None:
    bucket, hedges = Bucket(), 0
    for misses, late in enumerate(wanted, start=1):
        bucket = bucket.earned()
        if late:
            bucket, granted = bucket.spent()
            hedges += granted
        assert hedges <= misses / 100 + 1e-6


@given(st.integers(0, 5_000), st.integers(0, 20))
def test_a_peer_that_turns_slow_is_asked_only_a_few_times_more_at_once(
    misses: int, late: int
) -> None:
    bucket, hedges = Bucket(most=4.0), 0
    for _ in range(misses):
        bucket = bucket.earned()
    for _ in range(late):
        bucket, granted = bucket.spent()
        hedges += granted
    assert hedges <= 4


def test_the_hundredth_miss_earns_the_first_hedge() -> None:
    bucket = Bucket()
    for _ in range(99):
        bucket = bucket.earned()
    assert not bucket.spent()[1]
    assert bucket.earned().spent()[1]


def test_late_is_unknown_until_enough_was_seen() -> None:
    seen = Latencies()
    for _ in range(31):
        seen.note(0.1)
    assert seen.late_after_s() is None


def test_late_is_three_times_the_median_of_an_even_peer() -> None:
    seen = Latencies()
    for _ in range(100):
        seen.note(0.1)
    assert seen.late_after_s() == 3 * 0.1


def test_late_is_the_ninety_ninth_percentile_of_an_uneven_peer() -> None:
    seen = Latencies()
    for number in range(200):
        seen.note(0.9 if number % 20 == 0 else 0.1)
    assert seen.late_after_s() == 0.9


@given(st.lists(st.floats(0.0, 100.0), min_size=32, max_size=600))
def test_late_is_never_earlier_than_nearly_all_of_the_last_answers(seconds: list[float]) -> None:
    seen = Latencies()
    for one in seconds:
        seen.note(one)
    after = seen.late_after_s()
    last = seconds[-256:]
    assert after is not None
    assert sum(one > after for one in last) <= len(last) // 100
