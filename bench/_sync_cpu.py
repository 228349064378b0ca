"""Where the processor's time goes, by kind of part, as the kernel counts it for each process."""

import os
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from bench._sync_parts import Bench

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# Of proc_pid_stat(5), behind the name in brackets: user and system time.
_USER, _SYSTEM = 11, 12
HERE = "bench and database"


def cpu_s(bench: Bench) -> dict[str, float]:
    """Seconds since the start: of this process, and of all parts of each kind."""
    found: defaultdict[str, float] = defaultdict(float)
    found[HERE] = time.process_time()
    for name, running in bench.running.items():
        # Of a region's part the region's name comes first.
        found[name.rpartition("-")[2]] += _of(running.process.pid)
    return dict(found)


def per_record(before: Mapping[str, float], after: Mapping[str, float], records: int) -> str:
    """Microseconds that each record took, by kind of part, the largest first; and their sum."""
    took = {kind: (after[kind] - before[kind]) / records * 1e6 for kind in after}
    kinds = sorted(took, key=lambda kind: -took[kind])
    told = ", ".join(f"{kind} {took[kind]:.0f}" for kind in kinds)
    return f"{sum(took.values()):.0f} µs of processor a record: {told}"


def _of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS_PER_S
