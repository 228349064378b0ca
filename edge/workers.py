"""The worker processes of a PoP: one pair of listening sockets, and everybody accepts.

The sockets are this process's own and outlive every worker: a connection that waits to be accepted
is taken by another worker when one is killed, and none is refused while they restart. That is why
they are inherited and not opened per worker (``SO_REUSEPORT`` has a queue for each, which dies
with it).
"""

import asyncio
import logging
import os
import signal
import sys
import time
from asyncio.subprocess import Process, create_subprocess_exec

from edge.server import Listeners, check, listening, serve
from edge.settings import EdgeSettings
from edge.worker_metrics import begin_anew
from kvsync.errors import InputError

_log = logging.getLogger(__name__)
_QUICK_S = 2.0
_QUICK_DEATHS = 5
# On top of the grace that requests in flight get.
_END_S = 5.0


class Workers:
    """``count`` processes that serve; each that ends is replaced until all are told to stop."""

    def __init__(self, count: int, listeners: Listeners, grace_s: float) -> None:
        self._count = count
        self._listeners = listeners
        self._grace_s = grace_s
        self._alive: set[Process] = set()
        self._told_to_stop = asyncio.Event()
        # Whoever holds the reading end sees that this process is gone, however it went.
        self._life, self._held = os.pipe()

    async def run(self) -> None:
        """Serve until :meth:`stop`; raises :class:`InputError` when workers cannot start."""
        places = [asyncio.create_task(self._keep_one()) for _ in range(self._count)]
        try:
            await asyncio.gather(*places)
        finally:
            self.stop()
            await asyncio.gather(*places, return_exceptions=True)
            os.close(self._life)
            os.close(self._held)

    def stop(self) -> None:
        self._told_to_stop.set()
        self.signal(signal.SIGTERM)

    def signal(self, number: int) -> None:
        """Pass a signal on to every worker."""
        for process in self._alive:
            process.send_signal(number)

    async def _keep_one(self) -> None:
        quick_deaths = 0
        while not self._told_to_stop.is_set():
            begun = time.monotonic()
            code = await self._run_one()
            if self._told_to_stop.is_set():
                return
            lived_s = time.monotonic() - begun
            quick_deaths = quick_deaths + 1 if lived_s < _QUICK_S else 0
            # Where that cannot be written, as on a full disk, the others go on all the same.
            _log.warning("a worker ended with %d after %.0f s", code, lived_s)
            if quick_deaths == _QUICK_DEATHS:
                raise InputError(f"workers end with {code} as soon as they start; see above")

    async def _run_one(self) -> int:
        fds = (*self._listeners.fds, self._life)
        numbers = ",".join(map(str, fds))
        command = (sys.executable, "-m", "edge", "--worker", numbers)
        process = await create_subprocess_exec(*command, pass_fds=fds)
        self._alive.add(process)
        try:
            if self._told_to_stop.is_set():
                process.terminate()
            return await self._ended(process)
        finally:
            self._alive.discard(process)

    async def _ended(self, process: Process) -> int:
        """Its exit code; killed when it does not end in time after it was told to."""
        ended = asyncio.ensure_future(process.wait())
        told = asyncio.ensure_future(self._told_to_stop.wait())
        await asyncio.wait({ended, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        await asyncio.wait({ended}, timeout=self._grace_s + _END_S)
        if not ended.done():
            process.kill()
        return await ended


async def supervise(settings: EdgeSettings) -> None:
    """Run ``settings.workers`` processes until SIGTERM or SIGINT. This one serves nothing.

    Raises :class:`InputError` as :func:`edge.server.running` does.
    """
    check(settings)
    begin_anew(settings.metrics_dir)
    with listening(settings) as listeners:
        workers = Workers(settings.workers, listeners, settings.shutdown_grace_s)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, workers.stop)
        await workers.run()


async def work(settings: EdgeSettings, numbers: str) -> None:
    """Be one worker, on inherited sockets, for as long as the process that started it lives."""
    public, admin, life = map(int, numbers.split(","))
    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(life, gone.set)
    await serve(settings, Listeners.inherited(public, admin), gone)
