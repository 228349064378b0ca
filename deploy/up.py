"""``./rehydrate up``: the system for a person to look at, until Ctrl-C."""

import asyncio
import signal
from collections.abc import Callable, Iterable, Iterator

from rich.console import Console
from rich.table import Table

from deploy import parts
from deploy.layout import State
from deploy.processes import Running
from deploy.system import Place, Published, System
from deploy.traffic import PER_SECOND

_LOOK_SECONDS = 0.5


def up(system: System, console: Console) -> None:
    """Start, show, wait for Ctrl-C or SIGTERM, stop. Raises what keeps a part from starting."""
    asyncio.run(_run(system, console))


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
            with system.visited():
                await stopped
            ends.cancel()
        show.cancel()
        console.print("Stopping…")
    console.print("Stopped. Run it again: the second start is quick.")


async def _show(system: System, console: Console) -> None:
    try:
        published = await _start(system, console)
    except BaseException:
        console.print(_way_in(system), soft_wrap=True)
        raise
    console.print(_table(system))
    console.print(_summary(published))
    shops = " or ".join(f"[bold]{_shop(place)}[/bold]" for place in system.places)
    console.print(f"\n{_way_in(system)}", soft_wrap=True)
    if system.traffic:
        console.print(
            f"[bold]Sample traffic[/bold]: from now on {PER_SECOND:g} requests a second ask each "
            "edge. This command makes them up: the figures are of no real shopper. They reach "
            f"{system.console_url}/dashboard a minute later."
        )
    console.print(f"Open {shops}; Ctrl-C stops it all.")


async def _start(system: System, console: Console) -> Published:
    with console.status("Starting…") as status:
        waiting = set(system.running)

        def ready(name: str) -> None:
            waiting.discard(name)
            status.update(f"Starting… waiting for {', '.join(sorted(waiting)) or 'nothing'}")

        await system.wait_ready(ready)
        status.update("Publishing the approved images of the sample…")
        return await system.publish_sample(status.update)


def _way_in(system: System) -> str:
    """How operators come in; the first one's password is shown this once."""
    line = f"Operators: [bold]{system.console_url}[/bold]"
    if system.password is None:
        return line
    own = "" if system.state == State() else f" --state {system.state.folder}"
    return (
        f"{line}, the first time as [bold]admin[/bold] with [bold]{system.password}[/bold], which "
        f"is shown this once (lost? ./rehydrate console password admin{own})"
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
    count = len(system.places)
    number = "One region" if count == 1 else f"{count} regions"
    table = Table("part", "where", "what", title=f"{number} on one machine")
    table.add_row("origin", system.url(system.ports.origin), "originals, models, the shop's pages")
    streams = parts.redis_url(system.ports.streams)
    table.add_row("streams", streams, "the log of what was published, for the origin alone")
    table.add_row("console", system.console_url, "operators: prompt sets, quality, publishing")
    table.add_row("worker", "–", "makes the candidates that operators ask for")
    for place in system.places:
        for what, where, why in _rows(place):
            table.add_row(place.part(what), where, why)
    return table


def _rows(place: Place) -> Iterator[tuple[str, str, str]]:
    ports, shape = place.ports, place.link
    mile = f"the middle mile: {shape.rtt_ms:g} ms round trip, {shape.mbit_s:g} Mbit/s"
    yield "edge", _shop(place), "the shop, as a shopper sees it"
    yield "edge admin", System.url(ports.edge_admin), "the edge's /metrics, /readyz and purge"
    yield "region", System.url(ports.region), "regenerates approved images"
    yield "agent", System.url(ports.agent), "keeps the region as the log says: /metrics, /readyz"
    yield "valkey", parts.redis_url(ports.valkey), "signed records of the region"
    yield "link", f"{System.url(ports.link_metrics)}/metrics", mile


def _shop(place: Place) -> str:
    return f"http://localhost:{place.ports.edge}/"


def _summary(published: Published) -> str:
    good = published.published + published.already
    line = f"{good} approved images are live"
    if published.published:
        line += f"; {published.published} were generated, checked and signed here just now"
    line += f"; {published.refused} did not match their fingerprint on this machine"
    if published.refused:
        line += ", were revoked or have another original, and come from the origin"
    return line + "."
