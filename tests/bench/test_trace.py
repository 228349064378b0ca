"""The traffic that benches replay: skewed, changing, and the same each time."""

from collections import Counter
from itertools import islice

from bench._trace import Shape, Wanted, trace

PATHS = [f"/{number}.jpg" for number in range(200)]
WIDTHS = (384, 768)


def asked(count: int, seed: int = 1, shape: Shape | None = None) -> list[Wanted]:
    return list(islice(trace(PATHS, WIDTHS, seed, shape), count))


def test_the_same_seed_asks_the_same() -> None:
    assert asked(500) == asked(500) != asked(500, seed=2)


def test_a_tenth_of_the_assets_gets_more_than_a_third_of_the_requests() -> None:
    counts = Counter(one.path for one in asked(5_000, shape=Shape(churn_every=10**9)))
    popular = sum(count for _, count in counts.most_common(len(PATHS) // 10))
    assert 1_700 < popular < 3_500
    assert len(counts) > 150


def test_what_is_popular_changes() -> None:
    requests = asked(20_000, shape=Shape(churn_every=5))
    first, last = (
        {path for path, _ in Counter(one.path for one in some).most_common(20)}
        for some in (requests[:5_000], requests[-5_000:])
    )
    assert len(first & last) < 15


def test_every_form_is_asked_for() -> None:
    requests = asked(2_000)
    assert {one.width for one in requests} == set(WIDTHS)
    assert len({one.accept for one in requests}) == 3
