"""Which purges there were lately, so that a blob whose making began before one is not kept."""

import struct
from collections.abc import Iterable, Set
from typing import Any

import lmdb

_NUMBER = struct.Struct(">Q")
# When it was a soft one (Unix seconds, 0: it was not); the tag's short form follows.
_KIND = struct.Struct(">d")
_LAST = b"purges"
EVERYTHING = b""


class PurgeLog:
    """The last ``kept`` purges by number, each of one tag or of everything.

    Of purges further back nothing is known: what was begun before them is refused.
    """

    def __init__(self, log: Any, state: Any, kept: int = 1024) -> None:
        self._log = log
        self._state = state
        self._kept = kept

    def last(self, txn: lmdb.Transaction) -> int:
        raw = txn.get(_LAST, db=self._state)
        return int(_NUMBER.unpack(raw)[0]) if raw else 0

    def note(self, txn: lmdb.Transaction, labels: Iterable[bytes], soft_at: float | None) -> None:
        last = self.last(txn)
        for label in labels:
            last += 1
            txn.put(_NUMBER.pack(last), _KIND.pack(soft_at or 0.0) + label, db=self._log)
            if last > self._kept:
                txn.delete(_NUMBER.pack(last - self._kept), db=self._log)
        txn.put(_LAST, _NUMBER.pack(last), db=self._state)

    def since(self, txn: lmdb.Transaction, mark: int, labels: Set[bytes]) -> float | None:
        """What purges after number ``mark`` did to something with these labels: None where it was
        dropped, or may have been; else when it was last purged softly, 0.0 if it was not."""
        latest = 0.0
        for number in range(mark + 1, self.last(txn) + 1):
            noted = txn.get(_NUMBER.pack(number), db=self._log)
            if noted is None:
                return None
            raw = bytes(noted)
            (soft_at,), label = _KIND.unpack(raw[: _KIND.size]), raw[_KIND.size :]
            if label == EVERYTHING or label in labels:
                if not soft_at:
                    return None
                latest = soft_at
        return latest
