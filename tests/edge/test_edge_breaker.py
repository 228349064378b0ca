"""The circuit breaker as a state machine: any history, any clock that does not go back."""

from hypothesis import given
from hypothesis import strategies as st

from edge.breaker import Breaker, Rules, State

RULES = Rules(failures_to_open=3, rest_s=2.0)
Step = tuple[str, float]
histories = st.lists(
    st.tuples(st.sampled_from(["admit", "fail", "succeed"]), st.floats(0.0, 3.0)), max_size=60
)


def walk(history: list[Step]) -> tuple[Breaker, float]:
    breaker, now = Breaker(RULES), 0.0
    for what, seconds in history:
        now += seconds
        if what == "admit":
            breaker, _ = breaker.admit(now)
        elif what == "fail":
            breaker = breaker.failed(now)
        else:
            breaker = breaker.succeeded()
    return breaker, now


@given(histories)
def test_an_open_breaker_admits_nobody(history: list[Step]) -> None:
    breaker, now = walk(history)
    if breaker.state(now) is State.OPEN:
        assert not breaker.admit(now)[1]


@given(histories)
def test_a_half_open_breaker_admits_at_most_one_probe_at_a_time(history: list[Step]) -> None:
    breaker, now = walk(history)
    for _ in range(RULES.failures_to_open):
        breaker = breaker.failed(now)
    now += RULES.rest_s
    assert breaker.state(now) is State.HALF_OPEN
    probing, admitted = breaker.admit(now)
    assert admitted and not probing.admit(now)[1]


@given(histories)
def test_whatever_happened_a_rest_later_somebody_may_try_again(history: list[Step]) -> None:
    breaker, now = walk(history)
    assert breaker.admit(now + RULES.rest_s + 0.001)[1]


@given(histories)
def test_one_success_closes_it(history: list[Step]) -> None:
    breaker, now = walk(history)
    assert breaker.succeeded().state(now) is State.CLOSED


@given(histories)
def test_it_opens_after_as_many_failures_in_a_row_as_configured(history: list[Step]) -> None:
    breaker, now = walk(history)
    breaker = breaker.succeeded()
    for _ in range(RULES.failures_to_open):
        assert breaker.state(now) is State.CLOSED
        breaker = breaker.failed(now)
    assert breaker.state(now) is State.OPEN


def test_a_failed_probe_opens_it_for_another_rest() -> None:
    breaker, now = walk([("fail", 0.0)] * 3)
    breaker, admitted = breaker.admit(now + 2.0)
    assert admitted
    breaker = breaker.failed(now + 2.5)
    assert breaker.state(now + 4.4) is State.OPEN
    assert breaker.state(now + 4.5) is State.HALF_OPEN
