"""``python -m kvsync``: the agent that keeps one region as the origin's logs say."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Generator

import uvicorn
import uvloop

from kvsync.agent.agent import built
from kvsync.agent.app import create_app
from kvsync.agent.settings import SyncSettings, read_settings
from kvsync.errors import InputError
from kvsync.settling import settle

_GRACE_S = 2
# A batch of a thousand entries is no reason to look for what only cycles keep.
_GARBAGE = 20_000


def main() -> int:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        settings = read_settings()
        os.nice(settings.nice)
        uvloop.run(serve(settings))
    except InputError as error:
        print(f"sync: {error}", file=sys.stderr)
        return 1
    return 0


class _Server(uvicorn.Server):
    """Leaves signals to the process, which has more to end than a server."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def serve(settings: SyncSettings) -> None:
    """Run until SIGTERM or SIGINT; raises :class:`InputError` for what cannot work."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with _listen(settings) as bound:
        async with built(settings) as agent:
            config = uvicorn.Config(
                create_app(agent),
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=_GRACE_S,
            )
            server = _Server(config)
            serving = asyncio.create_task(server.serve(sockets=[bound]))
            others = [asyncio.create_task(agent.run()), asyncio.create_task(stop.wait())]
            settle(_GARBAGE)
            await asyncio.wait((serving, *others), return_when=asyncio.FIRST_COMPLETED)
            for task in others:
                task.cancel()
            server.should_exit = True
            results = await asyncio.gather(serving, *others, return_exceptions=True)
    for failed in results:
        if isinstance(failed, Exception):
            raise failed


def _listen(settings: SyncSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        raise InputError(
            f"SYNC_PORT: cannot listen on {settings.host}:{settings.port}: {error.strerror}"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
