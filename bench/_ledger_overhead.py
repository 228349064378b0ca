"""What counting adds to a request: the very calls that an edge makes, in a loop, beside a loop that
makes none; in CPU time, whatever else the machine does."""

import time
from collections.abc import Callable
from statistics import median

from rich.console import Console

from bench._pop import record
from deploy.layout import PROPERTIES
from edge.counters import Counters
from edge.haul import Haul
from edge.reply import Generated
from kvsync.meter import rows_between
from kvsync.property import read_property

_ROUNDS, _TIMES = 7, 20_000
_TIMINGS = (("queue", 1.0), ("generate", 40.0), ("check", 1.0), ("encode", 20.0), ("device", 38.0))
# As many rows as a busy edge has: properties, families, outcomes and reasons.
_ROWS = 500
_REQUESTS_PER_MINUTE = 60.0 * 100


def overhead_us(console: Console) -> float:
    """Microseconds for the request that is counted most: a miss that the origin answered."""
    counters, site = Counters(), read_property(PROPERTIES / "rumba.toml")
    body = record(site, "/a.jpg")
    made = Generated(b"", timings=_TIMINGS)
    hit = counters.tally(site.id, "rumba", "hit", "")
    origin = counters.tally(site.id, "", "origin", "no-record")

    def answer() -> None:
        hit.add(412, 50_000, 0.0004)

    def rehydrated() -> None:
        counters.had_in_region(site, body, "rehydrated", made)
        counters.tally(site.id, "rumba", "rehydrated", "").add(512, 50_000, 0.06)

    def hauled() -> None:
        haul = Haul(origin, counters.crossings, (site.id, "/a.jpg", "no-record"))
        haul.carried(300, 50_512)
        haul.answered()
        counters.origin_heads.note(site.id, haul.answer_bytes - 50_000)
        counters.tally(site.id, "", "origin", "no-record").add(512, 50_000, 0.2)

    empty = _seconds(lambda: None)
    found = {
        name: (_seconds(work) - empty) * 1e6
        for name, work in (("hit", answer), ("rehydrated", rehydrated), ("hauled", hauled))
    }
    cut = _cut_seconds() * 1e6 / _REQUESTS_PER_MINUTE
    told = ", ".join(f"{name} {us:.2f}" for name, us in found.items())
    console.print(
        f"Counting adds, in µs per request: {told}; cutting a minute of {_ROWS} rows adds "
        f"{cut:.2f} at 100 requests/s."
    )
    return max(found.values()) + cut


def _seconds(work: Callable[[], None]) -> float:
    """Of one call, the median of some rounds."""
    took = []
    for _ in range(_ROUNDS):
        begun = time.thread_time()
        for _ in range(_TIMES):
            work()
        took.append((time.thread_time() - begun) / _TIMES)
    return median(took)


def _cut_seconds() -> float:
    """Of what stands still while a minute is cut."""
    counters = Counters()
    for number in range(_ROWS):
        counters.tally("shop", str(number), "hit", "").add(1, 1, 0.1)
    begun = time.thread_time()
    rows_between({}, counters.tallies.totals())
    return time.thread_time() - begun
