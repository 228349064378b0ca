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
from dataclasses import dataclass
from functools import partial
from types import TracebackType

from kvsync.ledger import MINUTE_S, Held, Minute, Work
from origin.database import Database
from origin.ledger.intake import Ledger

THE_ORIGIN = "the origin"
"""Where this work stands in the ledger; regions' names have no spaces."""

QA = "qa"
_DEVICE = "cpu"


@dataclass(frozen=True, slots=True)
class Spent:
    """What making ``images`` took: CPU seconds, and the time that the machine was held for it.

    All of it is told as ``generate_s``: drawing, measuring and choosing are one search.
    """

    images: int
    busy_s: float
    held_s: float


def tell_spent(
    database: Database,
    property: str,
    family: str,
    spent: Spent,
    clock: Callable[[], float] = time.time,
) -> None:
    """Take it into the ledger, as of this minute."""
    now = clock()
    work = (spent.busy_s, 0.0, 0.0, 0.0)
    rows = (
        Work(_DEVICE, property, family, QA, spent.images, *work),
        Held(_DEVICE, socket.gethostname()[:80], spent.held_s),
    )
    # A name of its own each time: it is told once, in the transaction that counts it.
    worker = f"{os.getpid()}-{secrets.token_hex(8)}"
    minute = Minute(worker, int(now) // MINUTE_S * MINUTE_S, rows)
    Ledger(database).take(THE_ORIGIN, (property,), (minute,), now)


class OwnWork(AbstractContextManager["OwnWork"]):
    """One run of a process that makes pictures of a family. It is told by the minute, and whole
    when the block ends."""

    def __init__(
        self,
        database: Database,
        property: str,
        family: str,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tell_spent = partial(tell_spent, database, property, family, clock=clock)
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
        busy, held = time.process_time(), time.monotonic()
        self._tell_spent(Spent(self._images, busy - self._busy_from, held - self._held_from))
        self._images, self._busy_from, self._held_from = 0, busy, held
