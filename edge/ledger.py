"""What one edge process tells the ledger of each minute."""

from collections.abc import Callable

from edge.breaker import State
from edge.flow import Edge
from edge.settings import EdgeSettings
from kvsync.ledger import Open
from kvsync.meter import Meter, Totals
from kvsync.minutes import Minutes
from kvsync.spool import Spool

_MAX_PEER_LENGTH = 80


def minutes_of(edge: Edge, settings: EdgeSettings, spool: Spool) -> Minutes:
    """Answers and hauls as its counters have them, and for how long it left peers alone: each of
    the edge's workers counts its share of that."""
    breakers = Meter()
    states = _states(edge)

    def totals() -> Totals:
        return {**edge.counters.tallies.totals(), **breakers.totals()}

    def tick(seconds: float) -> None:
        for peer, state in states.items():
            if state() is State.OPEN:
                breakers.add(Open, (peer,), seconds / settings.workers)

    return Minutes(
        settings.node,
        spool,
        totals,
        tick=tick,
        largest=edge.counters.crossings.tell,
        clock=edge.clock,
    )


def _states(edge: Edge) -> dict[str, Callable[[], State]]:
    states = {
        "store": edge.records.state,
        "origin": edge.origin.state,
        "replica": edge.replica.state,
        **{region.url: region.state for region in edge.regions.all},
    }
    return {peer[:_MAX_PEER_LENGTH]: state for peer, state in states.items()}
