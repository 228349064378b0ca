import pytest

from kvsync.errors import Busy
from kvsync.record import PromptRecipe
from regional_gpu.service.schedule import Group, Load, Pace, Ticket, admit, choose

RED = PromptRecipe(b"m" * 32, "red laces", 1, 768, 768)
OTHER = PromptRecipe(b"o" * 32, "wing", 1, 256, 256)
IDLE = Load(running_until=0.0, waiting=(), in_flight=0, max_in_flight=4)


def ticket(recipe: PromptRecipe = RED, deadline: float = 10.0) -> Ticket:
    return Ticket(recipe, Group.of(recipe), asked=0.0, expected=0.0, deadline=deadline)


def paced(seconds: float) -> Pace:
    pace = Pace()
    pace.measured(Group.of(RED), seconds)
    return pace


def asked(
    load: Load, pace: Pace, *, deadline: float, model_s: float = 0.0, finish_s: float = 0.0
) -> Ticket:
    return admit(
        RED,
        now=100.0,
        deadline=100.0 + deadline,
        load=load,
        pace=pace,
        model_ready_s=model_s,
        finish_s=finish_s,
    )


def waiting(count: int, running_until: float = 0.0) -> Load:
    return Load(running_until, (Group.of(RED),) * count, count, max_in_flight=8)


def test_what_was_never_measured_is_tried() -> None:
    assert asked(waiting(3), Pace(), deadline=0.001).expected == 100.0


def test_the_queue_ahead_and_the_picture_itself_must_fit_before_the_deadline() -> None:
    assert asked(waiting(3), paced(0.2), deadline=0.81).expected == pytest.approx(100.8)
    with pytest.raises(Busy, match="10 ms late"):
        asked(waiting(3), paced(0.2), deadline=0.79)


def test_the_running_batch_counts() -> None:
    with pytest.raises(Busy):
        asked(waiting(1, running_until=101.0), paced(0.2), deadline=1.0)


def test_check_and_encoding_count() -> None:
    with pytest.raises(Busy):
        asked(waiting(1), paced(0.2), deadline=0.5, finish_s=0.2)


def test_loading_the_model_goes_on_beside_the_queue() -> None:
    found = asked(waiting(2), paced(0.2), deadline=5.0, model_s=0.3)
    assert found.expected == pytest.approx(100.0 + max(0.3, 0.4) + 0.2)


def test_retry_after_is_how_long_the_excess_takes_to_drain() -> None:
    with pytest.raises(Busy) as refusal:
        asked(waiting(7), paced(0.5), deadline=1.0)
    assert refusal.value.retry_after_s == 3


def test_a_full_queue_refuses_the_most_patient() -> None:
    with pytest.raises(Busy, match="4 pictures wait already") as refusal:
        asked(Load(0.0, (Group.of(RED),) * 4, 4, max_in_flight=4), paced(0.5), deadline=600.0)
    assert refusal.value.retry_after_s == 2


def test_an_idle_region_tries_even_when_its_last_one_was_slow() -> None:
    assert asked(IDLE, paced(3.0), deadline=0.5).expected == pytest.approx(103.0)


def test_no_patience_at_all_is_refused_at_once() -> None:
    with pytest.raises(Busy):
        asked(IDLE, Pace(), deadline=0.0)


def test_sharing_a_ticket_extends_its_deadline_but_never_shortens_it() -> None:
    shared = ticket(deadline=10.0)
    shared.share(12.0)
    shared.share(11.0)
    assert shared.deadline == 12.0


def test_nobody_shares_a_picture_that_will_be_late_for_them() -> None:
    late = Ticket(RED, Group.of(RED), asked=0.0, expected=9.0, deadline=10.0)
    with pytest.raises(Busy):
        late.share(8.0)


def test_who_is_as_patient_as_the_first_shares_what_an_idle_region_tries() -> None:
    tried = asked(IDLE, paced(3.0), deadline=0.5)
    tried.share(tried.deadline + 0.001)
    assert tried.deadline == pytest.approx(100.501)


def test_the_pace_follows_what_is_measured() -> None:
    pace = Pace()
    assert pace.expected("x") == 0.0
    pace.measured("x", 1.0)
    assert pace.expected("x") == 1.0
    for _ in range(40):
        pace.measured("x", 0.1)
    assert pace.expected("x") == pytest.approx(0.1, abs=0.01)


def test_a_batch_is_the_oldest_ticket_and_its_group_in_order_of_arrival() -> None:
    first, other, second, third = ticket(), ticket(OTHER), ticket(), ticket()
    choice = choose([first, other, second, third], now=0.0, max_batch=2)
    assert choice.batch == [first, second]
    assert choice.rest == [other, third]


def test_sizes_do_not_mix_in_a_batch() -> None:
    small = PromptRecipe(RED.model, RED.prompt, RED.seed, 256, 256)
    choice = choose([ticket(), ticket(small)], now=0.0, max_batch=8)
    assert len(choice.batch) == len(choice.rest) == 1


def test_who_waited_in_vain_is_told_and_not_generated() -> None:
    late, alive = ticket(deadline=5.0), ticket(deadline=6.0)
    choice = choose([late, alive], now=5.0, max_batch=8)
    assert choice.expired == [late] and choice.batch == [alive] and choice.rest == []


def test_nobody_left_means_no_batch() -> None:
    assert choose([ticket(deadline=1.0)], now=2.0, max_batch=8).batch == []
