"""A process's minutes: what it counts, cut at every full minute and put into its spool."""

import asyncio
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable

from kvsync.errors import InputError
from kvsync.ledger import MINUTE_S, Minute, MinuteName, Row
from kvsync.meter import Totals, rows_between
from kvsync.spool import Spool

_log = logging.getLogger(__name__)
_TICK_S = 1.0
_MAX_NODE_LENGTH = 50


class Minutes:
    """Cuts what ``totals`` says into minutes, each named by ``node``, process and start.

    ``tick`` is called every second with the seconds since it was last. ``largest`` gives rows of
    the minute alone, which are no sums, and begins anew.
    """

    def __init__(
        self,
        node: str,
        spool: Spool,
        totals: Callable[[], Totals],
        *,
        tick: Callable[[float], None] = lambda seconds: None,
        largest: Callable[[], tuple[Row, ...]] = tuple,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._node, self._spool, self._totals = node, spool, totals
        self._tick, self._largest = tick, largest
        self._clock = clock
        self._worker = _worker_name(node)
        self._lock = threading.Lock()
        self._told: Totals = {}
        self._ticked_at = time.monotonic()
        self._start = _minute_of(clock())

    async def keep_cutting(self) -> None:
        """Cut at every full minute, for ever."""
        while True:
            await asyncio.sleep(_TICK_S)
            self._count_time()
            if _minute_of(self._clock()) != self._start:
                # A disk may take long to say that it has it.
                await asyncio.to_thread(self._write, *self._end_minute())

    def cut(self) -> None:
        """Spool what was counted since the last cut: the process ends."""
        self._count_time()
        self._write(*self._end_minute())

    def _count_time(self) -> None:
        now = time.monotonic()
        self._tick(now - self._ticked_at)
        self._ticked_at = now

    def _end_minute(self) -> tuple[MinuteName, Totals, tuple[Row, ...]]:
        name = MinuteName(self._worker, self._start)
        start = _minute_of(self._clock())
        if start <= self._start:  # The clock was set back: a name must not come again.
            self._worker = _worker_name(self._node)
        self._start = start
        return name, self._totals(), self._largest()

    def _write(self, name: MinuteName, totals: Totals, largest: tuple[Row, ...]) -> None:
        """Into the spool; what a full disk does not take goes into a later minute. One at a time:
        who was cancelled waiting for the disk leaves a thread that goes on."""
        with self._lock:
            rows = (*rows_between(self._told, totals), *largest)
            try:
                if rows:
                    self._spool.add(Minute(name.worker, name.start, rows))
                self._told = totals
                self._spool.drop_old(self._clock())
            except InputError as error:
                _log.error("what was counted waits for the next minute: %s", error)


def _worker_name(node: str) -> str:
    """Another one at every start, so that what an earlier run counted stays counted."""
    return f"{node[:_MAX_NODE_LENGTH]}-{os.getpid()}-{secrets.token_hex(4)}"


def _minute_of(now: float) -> int:
    return int(now) // MINUTE_S * MINUTE_S
