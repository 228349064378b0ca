"""Numbers brought together, whatever the order."""

from collections import defaultdict


class Joined:
    """Numbers from 0 on, joined into groups; which joined first changes nothing."""

    def __init__(self, count: int) -> None:
        self._above = list(range(count))

    def top(self, at: int) -> int:
        while self._above[at] != at:
            self._above[at] = self._above[self._above[at]]
            at = self._above[at]
        return at

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.top(one), self.top(other)))
        self._above[high] = low

    def groups(self) -> list[list[int]]:
        """Sorted, each by its least number."""
        found: dict[int, list[int]] = defaultdict(list)
        for at in range(len(self._above)):
            found[self.top(at)].append(at)
        return list(found.values())
