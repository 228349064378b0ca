"""What the origin's own machine does for the money: pictures that are made for people to judge.

No region ships these minutes: they are taken into the ledger here, as of a place that no region
can have the name of.
"""

import os
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import count
from types import TracebackType

from kvsync.ledger import MINUTE_S, Held, Minute, Work
from origin.database import Database
from origin.ledger.intake import Ledger

THE_ORIGIN = "the origin"
"""Where this work stands in the ledger; regions' names have no spaces."""

QA = "qa"
_DEVICE = "cpu"


class OwnWork(AbstractContextManager["OwnWork"]):
    """One run of a process that makes pictures of a family: its CPU seconds, and the time that it
    held the machine. It is told by the minute, and whole when the block ends.

    All of it is told as ``generate_s``: drawing, measuring and choosing are one search.
    """

    def __init__(
        self,
        database: Database,
        property: str,
        family: str,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = Ledger(database)
        self._property, self._family, self._clock = property, family, clock
        self._run = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._number = count()
        self._images = 0
        self._busy_from, self._held_from = time.process_time(), time.monotonic()

    def made(self, images: int) -> None:
        """Count pictures that were made; about once a minute the ledger is told."""
        self._images += images
        if time.monotonic() - self._held_from >= MINUTE_S:
            self._tell()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tell()

    def _tell(self) -> None:
        busy, held, now = time.process_time(), time.monotonic(), self._clock()
        spent = (busy - self._busy_from, 0.0, 0.0, 0.0)
        rows = (
            Work(_DEVICE, self._property, self._family, QA, self._images, *spent),
            Held(_DEVICE, socket.gethostname()[:80], held - self._held_from),
        )
        # A name of its own each time: it is told once, in the transaction that counts it.
        worker = f"{self._run}-{next(self._number)}"
        minute = Minute(worker, int(now) // MINUTE_S * MINUTE_S, rows)
        self._ledger.take(THE_ORIGIN, (self._property,), (minute,), now)
        self._images, self._busy_from, self._held_from = 0, busy, held
