"""The sweep finds the smallest quality that reaches a goal, in few measurements."""

from collections.abc import Callable

import pytest

from bench.formats import Row, boundary, choose


def _from(threshold: int, asked: list[int]) -> Callable[[int], bool]:
    def reaches(quality: int) -> bool:
        asked.append(quality)
        return quality >= threshold

    return reaches


@pytest.mark.parametrize("threshold", [1, 2, 50, 84, 91, 92, 99, 100])
@pytest.mark.parametrize("start", [1, 60, 84, 91, 99, 100])
def test_the_boundary_is_found_from_any_start(threshold: int, start: int) -> None:
    asked: list[int] = []
    assert boundary(_from(threshold, asked), start) == threshold
    assert all(1 <= quality <= 100 for quality in asked) and len(asked) <= 14


def test_a_start_that_is_right_costs_two_measurements() -> None:
    asked: list[int] = []
    boundary(_from(91, asked), 91)
    assert asked == [91, 90]


def test_a_goal_out_of_reach_ends_at_the_best_quality() -> None:
    assert boundary(lambda quality: False, 84) == 100


def test_the_smallest_file_within_goal_and_budget_is_chosen() -> None:
    def row(size: int, reaches_goal: bool, within_budget: bool) -> Row:
        return Row("webp", {}, 90, 85.0, 84.0, 1.4, size, 20.0, reaches_goal, within_budget)

    large, good = row(9, True, True), row(7, True, True)
    assert choose([large, good, row(5, False, True), row(6, True, False)]) == good
    assert choose([row(5, False, True)]) is None
