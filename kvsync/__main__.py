"""``python -m kvsync``: the agent that keeps one region as the origin's logs say."""

import asyncio
import logging
import socket
import sys

import uvicorn
import uvloop

from kvsync.agent.agent import built
from kvsync.agent.app import create_app
from kvsync.agent.settings import SyncSettings, read_settings
from kvsync.errors import InputError


def main() -> int:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        uvloop.run(serve(read_settings()))
    except InputError as error:
        print(f"sync: {error}", file=sys.stderr)
        return 1
    return 0


async def serve(settings: SyncSettings) -> None:
    """Run until SIGTERM or SIGINT; raises :class:`InputError` for what cannot work."""
    with _listen(settings) as bound:
        async with built(settings) as agent:
            config = uvicorn.Config(create_app(agent), log_config=None, access_log=False)
            working = asyncio.create_task(agent.run())
            serving = asyncio.create_task(uvicorn.Server(config).serve(sockets=[bound]))
            await asyncio.wait({working, serving}, return_when=asyncio.FIRST_COMPLETED)
            for task in (working, serving):
                task.cancel()
            results = await asyncio.gather(working, serving, return_exceptions=True)
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
