"""Sample traffic for ``./rehydrate up --traffic``: shoppers that this command makes up.

They ask every edge for the sample's images as an image site's visitors do (:mod:`bench._trace`), so
that a newcomer can watch the figures move. The figures are of these requests and say nothing of
anybody's site; each has the user agent :data:`AGENT`, and the dashboard says that it is so.
"""

import argparse
import asyncio
import random
from collections.abc import Iterator, Sequence

import httpx2

from bench._trace import Wanted, trace
from deploy.layout import HOST, PROPERTIES
from deploy.parts import PROPERTY
from deploy.sample import APPROVED, approved_paths
from kvsync.property import read_property

AGENT = "rehydrate-sample-traffic"
PER_SECOND = 3.0
_PATIENCE_S = 20.0
_SEED = 7


async def visit(port: int, wanted: Iterator[Wanted], per_second: float) -> None:
    """Ask one edge for images at random moments (a Poisson process), for ever; nobody waits for
    what was asked for before, and an edge that is gone is asked again."""
    dice = random.Random(port)
    under_way: set[asyncio.Task[None]] = set()
    async with httpx2.AsyncClient(
        base_url=f"http://{HOST}:{port}", timeout=_PATIENCE_S, trust_env=False
    ) as client:
        while True:
            await asyncio.sleep(dice.expovariate(per_second))
            task = asyncio.create_task(_ask(client, next(wanted)))
            under_way.add(task)
            task.add_done_callback(under_way.discard)


async def _ask(client: httpx2.AsyncClient, wanted: Wanted) -> None:
    headers = {"accept": wanted.accept, "user-agent": AGENT, "host": "localhost"}
    try:
        await client.get(wanted.path, params={"w": str(wanted.width)}, headers=headers)
    except httpx2.HTTPError:
        return  # A person may have stopped that edge to see what happens.


async def run(ports: Sequence[int], per_second: float) -> None:
    """Visit the edges on these ports, each as often, until cancelled."""
    paths = approved_paths(APPROVED)
    widths = read_property(PROPERTIES / f"{PROPERTY}.toml").renditions.widths
    wanted = (trace(paths, widths, _SEED + at) for at in range(len(ports)))
    visits = (visit(*one, per_second) for one in zip(ports, wanted, strict=True))
    await asyncio.gather(*visits)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.traffic", description=__doc__)
    parser.add_argument("--port", action="append", type=int, required=True, help="of an edge")
    parser.add_argument("--per-second", type=float, default=PER_SECOND)
    arguments = parser.parse_args()
    asyncio.run(run(arguments.port, arguments.per_second))


if __name__ == "__main__":
    main()
