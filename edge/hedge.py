"""When to ask a second peer because the first is late, and how often that may be (Dean and Barroso
2013, "The tail at scale", section "hedged requests"). No I/O, no clock: seconds are passed in."""

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, replace

_REMEMBERED = 256
# Before this many answers nobody can say what is late.
_ENOUGH = 32
_TIMES_MEDIAN = 3.0


class Latencies:
    """How long a peer took for its last 256 answers, in seconds."""

    def __init__(self) -> None:
        self._in_order: deque[float] = deque()
        self._sorted: list[float] = []

    def note(self, seconds: float) -> None:
        if len(self._in_order) == _REMEMBERED:
            del self._sorted[bisect_left(self._sorted, self._in_order.popleft())]
        self._in_order.append(seconds)
        insort(self._sorted, seconds)

    def late_after_s(self) -> float | None:
        """The larger of the 99th percentile and three times the median; None while too little
        was seen to say."""
        count = len(self._sorted)
        if count < _ENOUGH:
            return None
        p99 = self._sorted[min(count - 1, count * 99 // 100)]
        return max(p99, _TIMES_MEDIAN * self._sorted[count // 2])


@dataclass(frozen=True, slots=True)
class Bucket:
    """What may be spent on hedges: every miss puts ``share`` of a token in, a hedge takes one.

    So hedges stay at or below ``share`` of all misses from the first miss on, and a peer that turns
    slow for everybody is asked at most ``most`` times more at once.
    """

    share: float = 0.01
    most: float = 4.0
    tokens: float = 0.0

    def earned(self) -> "Bucket":
        return replace(self, tokens=min(self.most, self.tokens + self.share))

    def spent(self) -> tuple["Bucket", bool]:
        """Whether there was a token, and the bucket without it."""
        # A hundred hundredths come to a little less than one in floating point.
        if self.tokens < 1.0 - 1e-9:
            return self, False
        return replace(self, tokens=max(0.0, self.tokens - 1.0)), True
