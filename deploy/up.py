"""``./rehydrate up``: the system for a person to look at, until Ctrl-C."""

import asyncio
import signal
from collections.abc import Callable, Iterable

from rich.console import Console
from rich.table import Table

from deploy.layout import Ports, State
from deploy.processes import Running
from deploy.system import LinkShape, Published, System

WHAT = {
    "edge": "the shop, as a shopper sees it",
    "edge admin": "the edge's /metrics, /readyz and purge",
    "origin": "originals, models and the shop's pages",
    "region": "regenerates approved images",
    "valkey": "signed records of the region",
    "link": "counts what crosses the middle mile",
}

_LOOK_SECONDS = 0.5


def up(state: State, ports: Ports, link: LinkShape, console: Console) -> None:
    """Start, show, wait for Ctrl-C or SIGTERM, stop. Raises what keeps a part from starting."""
    asyncio.run(_run(System(state, ports, link), console))


async def _run(system: System, console: Console) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    with system.started():
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        show = asyncio.create_task(_show(system, console))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({show, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if show.done():
            show.result()
            ends = asyncio.create_task(tell_ends(system.running.values(), console.out))
            await stopped
            ends.cancel()
        show.cancel()
        console.print("Stopping…")
    console.print("Stopped. Run it again: the second start is quick.")


async def _show(system: System, console: Console) -> None:
    with console.status("Starting…") as status:
        waiting = set(system.running)

        def ready(name: str) -> None:
            waiting.discard(name)
            status.update(f"Starting… waiting for {', '.join(sorted(waiting)) or 'nothing'}")

        await system.wait_ready(ready)
        status.update("Publishing the approved images of the sample…")
        published = await system.publish_sample(status.update)
    console.print(_table(system))
    console.print(_summary(published))
    console.print(
        f"\nOpen [bold]http://localhost:{system.ports.edge}/[/bold]; Ctrl-C stops it all."
    )


async def tell_ends(parts: Iterable[Running], tell: Callable[[str], object]) -> None:
    """Say of each part, once, that it ended. None is restarted: a person should see it gone."""
    alive = list(parts)
    while True:
        for one in [one for one in alive if not one.alive]:
            alive.remove(one)
            tell(
                f"{one.part.name} {one.end}; the others go on without it. Its log: {one.log}. "
                "To have it back, press Ctrl-C and start again."
            )
        await asyncio.sleep(_LOOK_SECONDS)


def _table(system: System) -> Table:
    table = Table("part", "where", "what", title="One region on one machine")
    rows = {name: running.part.url for name, running in system.running.items()}
    rows["edge admin"] = system.url(system.ports.edge_admin)
    for name, what in WHAT.items():
        table.add_row(name, rows[name], what)
    shape = system.link
    table.caption = f"middle mile: {shape.rtt_ms:g} ms round trip, {shape.mbit_s:g} Mbit/s"
    return table


def _summary(published: Published) -> str:
    good = published.published + published.already
    line = f"{good} approved images are live in the region"
    if published.published:
        line += f"; {published.published} were generated, checked and signed here just now"
    line += f"; {published.refused} did not match their fingerprint on this machine"
    if published.refused:
        line += ", were revoked or have another original, and come from the origin"
    return line + "."
