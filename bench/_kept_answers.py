"""Which answers an edge must still keep, as far as a client can tell."""

from collections import OrderedDict


class KeptAnswers:
    """Those that it said it keeps, the last ones in ``most_bytes``: well below what it has room
    for, so that none of them can have been evicted."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._bytes = 0

    def note(self, target: str, cache_status: str, body_bytes: int) -> None:
        """Take in a whole answer by its Cache-Status (RFC 9211)."""
        if "; stored" not in cache_status and "; hit" not in cache_status:
            return
        self._bytes += body_bytes - self._sizes.pop(target, 0)
        self._sizes[target] = body_bytes
        while self._bytes > self._most_bytes:
            self._bytes -= self._sizes.popitem(last=False)[1]

    def forget(self) -> None:
        """Expect nothing: its disk was broken, and it may have had to begin anew."""
        self._sizes.clear()
        self._bytes = 0

    def __contains__(self, target: str) -> bool:
        return target in self._sizes
