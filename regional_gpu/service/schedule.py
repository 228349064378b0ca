"""When is a picture made, with which others, and is it worth beginning: decisions only.

No clock and no waiting here; times are seconds on the caller's monotonic clock.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kvsync.errors import Busy
from kvsync.record import PromptRecipe


class Group(NamedTuple):
    """Pictures that can share a batch: one model (digest), one size in pixels, one schedule."""

    model: bytes
    width: int
    height: int
    steps: int
    sampler: str
    guidance: float

    @classmethod
    def of(cls, recipe: PromptRecipe) -> "Group":
        return cls(
            recipe.model,
            recipe.width,
            recipe.height,
            recipe.steps,
            recipe.sampler,
            recipe.guidance,
        )


@dataclass(eq=False, slots=True)
class Ticket:
    """A picture that was let in; of all requests that wait for it the most patient counts."""

    recipe: PromptRecipe
    group: Group
    asked: float
    expected: float
    deadline: float

    def share(self, deadline: float) -> None:
        """Let one more request wait; :class:`Busy` when the picture would be late for it.

        One as patient as those already let in is let in too, whatever the estimate says.
        """
        if deadline < self.deadline and deadline < self.expected:
            raise too_late(self.expected, deadline)
        self.deadline = max(self.deadline, deadline)


class Pace:
    """How long things take: an exponentially weighted moving average in seconds by name."""

    WEIGHT = 0.2

    def __init__(self) -> None:
        self._seconds: dict[Hashable, float] = {}

    def measured(self, what: Hashable, seconds: float) -> None:
        known = self._seconds.get(what, seconds)
        self._seconds[what] = known + self.WEIGHT * (seconds - known)

    def expected(self, what: Hashable) -> float:
        """Seconds; 0 for what was never measured, so that it is tried."""
        return self._seconds.get(what, 0.0)


@dataclass(frozen=True, slots=True)
class Load:
    """What the region has on its hands: when the running batch should end, and who waits."""

    running_until: float
    waiting: tuple[Group, ...]
    in_flight: int
    max_in_flight: int


def admit(
    recipe: PromptRecipe,
    *,
    now: float,
    deadline: float,
    load: Load,
    pace: Pace,
    model_ready_s: float,
    finish_s: float,
) -> Ticket:
    """A ticket for a picture that should be done by its deadline; otherwise :class:`Busy`.

    ``model_ready_s`` is how long the model still takes to be loaded, ``finish_s`` how long check
    and encoding take afterwards. An idle region tries whatever it is asked: only a new
    measurement corrects an estimate that was too slow.
    """
    group = Group.of(recipe)
    queued_s = sum(pace.expected(other) for other in load.waiting)
    begin = max(now + model_ready_s, max(now, load.running_until) + queued_s)
    expected = begin + pace.expected(group) + finish_s
    if deadline <= now:
        raise too_late(expected, deadline)
    if load.in_flight >= load.max_in_flight:
        raise Busy(
            f"{load.in_flight} pictures wait already; ask another region or the origin",
            retry_after_s=_whole_seconds(max(now, load.running_until) + queued_s - now),
        )
    if load.in_flight and expected > deadline:
        raise too_late(expected, deadline)
    return Ticket(recipe, group, now, expected, deadline)


def too_late(expected: float, deadline: float) -> Busy:
    """The refusal; asked again after the excess, the same patience would be enough."""
    late_ms = (expected - deadline) * 1_000
    return Busy(
        f"the image would be {late_ms:.0f} ms late; ask another region or the origin",
        retry_after_s=_whole_seconds(expected - deadline),
    )


class Choice(NamedTuple):
    """Who is generated now, who has waited in vain, who stays in line."""

    batch: list[Ticket]
    expired: list[Ticket]
    rest: list[Ticket]


def choose(waiting: Sequence[Ticket], *, now: float, max_batch: int) -> Choice:
    """The oldest ticket that can still make it, with others of its group; arrival order is kept."""
    expired = [ticket for ticket in waiting if ticket.deadline <= now]
    alive = [ticket for ticket in waiting if ticket.deadline > now]
    if not alive:
        return Choice([], expired, [])
    group = alive[0].group
    batch = [ticket for ticket in alive if ticket.group == group][:max_batch]
    chosen = set(map(id, batch))
    return Choice(batch, expired, [ticket for ticket in alive if id(ticket) not in chosen])


def _whole_seconds(seconds: float) -> int:
    return max(1, math.ceil(seconds))
