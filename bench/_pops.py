"""``python -m bench._pops COUNT FOLDER``: many PoPs of one region in one process.

Each has ports and a cache of its own; the rest is set up by ``EDGE_*`` variables. Prints
``[[port, admin port], …]`` when they are ready.
"""

import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path

import uvloop

from edge.server import running
from edge.settings import read_settings


async def serve(count: int, folder: Path) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        ports = []
        for number in range(count):
            settings = read_settings(
                port=0, admin_port=0, node=f"pop-{number}", cache_dir=folder / str(number)
            )
            ports.append(await stack.enter_async_context(running(settings)))
        print(json.dumps(ports), flush=True)
        await stop.wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
