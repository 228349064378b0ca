"""A circuit breaker as a pure state machine: values in, values out, time passed in (seconds).

::

    closed ── failures_to_open in a row ──> open ── rest_s ──> half-open ── success ──> closed
                                             ^                     │
                                             └────── failure ──────┘

Half-open lets one probe through; the others are turned away until it is back.
"""

from dataclasses import dataclass, replace
from enum import IntEnum


class State(IntEnum):
    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


@dataclass(frozen=True, slots=True)
class Rules:
    failures_to_open: int
    rest_s: float


@dataclass(frozen=True, slots=True)
class Breaker:
    rules: Rules
    failures: int = 0
    opened_at: float | None = None
    probe_since: float | None = None

    def state(self, now: float) -> State:
        if self.opened_at is None:
            return State.CLOSED
        return State.OPEN if now < self.opened_at + self.rules.rest_s else State.HALF_OPEN

    def admit(self, now: float) -> tuple["Breaker", bool]:
        """Whether a call may go through now, and the breaker after it has or has not."""
        state = self.state(now)
        if state is State.CLOSED:
            return self, True
        if state is State.OPEN or self._probing(now):
            return self, False
        return replace(self, probe_since=now), True

    def succeeded(self) -> "Breaker":
        return Breaker(self.rules)

    def failed(self, now: float) -> "Breaker":
        failures = self.failures + 1
        if self.opened_at is None and failures < self.rules.failures_to_open:
            return replace(self, failures=failures)
        return replace(self, failures=failures, opened_at=now, probe_since=None)

    def _probing(self, now: float) -> bool:
        """A probe that never came back must not keep the circuit open for ever."""
        return self.probe_since is not None and now < self.probe_since + self.rules.rest_s
