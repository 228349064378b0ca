"""A bound on memory that is counted in bytes, not in things."""

from collections import OrderedDict
from typing import Generic, TypeVar

Value = TypeVar("Value")


class ByteLru(Generic[Value]):
    """Values by key; the least recently used leave when all together pass ``max_bytes``."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes_held = 0
        self._held: OrderedDict[bytes, tuple[Value, int]] = OrderedDict()

    def get(self, key: bytes) -> Value | None:
        if key not in self._held:
            return None
        self._held.move_to_end(key)
        return self._held[key][0]

    def put(self, key: bytes, value: Value, size: int) -> list[bytes]:
        """Hold ``value``; the keys that had to leave for it. One too large alone is not held."""
        self.bytes_held += size - self._held.pop(key, (value, 0))[1]
        self._held[key] = (value, size)
        gone = []
        while self.bytes_held > self.max_bytes:
            left, (_, freed) = self._held.popitem(last=False)
            self.bytes_held -= freed
            gone.append(left)
        return gone

    def drop(self, key: bytes) -> None:
        if key in self._held:
            self.bytes_held -= self._held.pop(key)[1]

    def __contains__(self, key: bytes) -> bool:
        return key in self._held
