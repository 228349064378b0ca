"""What access logs say of each asset: how often it was asked for, missed, and hauled.

Logs are read as streams by DuckDB, gzip and zstd too, a file at a time. A line that says nothing of
use is counted by why, and the rest goes on; times may come in any order.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb

from kvsync.errors import InputError
from origin.analysis.log_formats import LogFormat, format_of

_HEAD = 50
_EXAMPLES = 3
# Every byte is a letter, so that no line is unreadable; paths are made text again at the end.
_LINES = """
    (SELECT line FROM read_csv(?, columns={'line': 'VARCHAR'}, delim='\x01', quote='', escape='',
    header=false, auto_detect=false, encoding='latin-1', null_padding=true, strict_mode=false)
    WHERE line <> '')
"""
# Counted by what lines say, in their own words; what the words mean is asked once for each.
_COUNTED = """
    INSERT INTO counted
    WITH lines AS {lines}, apart AS ({query})
    SELECT split_part(split_part(target, '?', 1), '#', 1) AS path, region, day, method, status,
           state, count(*), sum(coalesce(try_cast(size AS BIGINT), 0)), any_value(line)
    FROM apart GROUP BY path, region, day, method, status, state
"""
_MEANT = """
    CREATE TEMP VIEW meant AS
    SELECT path, coalesce(region, '') AS region, requests, sent, example,
           try_strptime(day, ['%d/%b/%Y', '%Y-%m-%d'])::DATE AS day,
           lower(regexp_extract(state, '^[A-Za-z]+')) AS word,
           CASE WHEN path = '' OR path IS NULL OR method IS NULL
                     OR try_cast(status AS INTEGER) IS NULL THEN 'broken'
                WHEN try_strptime(day, ['%d/%b/%Y', '%Y-%m-%d']) IS NULL THEN 'time'
                WHEN method NOT IN ('GET', 'HEAD') THEN 'method'
                WHEN status NOT IN ('200', '206', '304') THEN 'status' END AS why
    FROM counted
"""
# The first word of what caches say: of what was kept nothing was hauled. The rest is not known.
_KEPT = "('hit', 'stale', 'updating', 'refreshhit', 'revalidated', 'originshieldhit')"
_MISSED = "('miss', 'expired', 'bypass', 'pass', 'rehydrated', 'replica', 'origin')"
_DEMAND = f"""
    SELECT path, region, sum(requests)::BIGINT, sum(sent)::BIGINT,
           (sum(requests) FILTER (word IN {_KEPT} OR word IN {_MISSED}))::BIGINT,
           (sum(requests) FILTER (word IN {_MISSED}))::BIGINT,
           (sum(sent) FILTER (word IN {_MISSED}))::BIGINT
    FROM meant WHERE why IS NULL GROUP BY path, region ORDER BY path, region
"""


@dataclass(frozen=True)
class Demand:
    """Of one asset in one region, by path. ``misses`` and their body bytes are None where the log
    does not tell hits from misses."""

    path: str
    region: str
    requests: int
    sent_bytes: int
    misses: int | None
    missed_bytes: int | None


@dataclass
class Traffic:
    """What logs said, from the first day to the last.

    ``left_out`` counts lines by why: ``broken`` could not be read, ``time`` had none, ``method``
    and ``status`` are no delivery of an image. ``examples`` are a few of the broken ones;
    ``unread`` are files, and what is wrong with them. ``said`` is what else is to know.
    """

    demand: list[Demand] = field(default_factory=list)
    lines: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    first: date | None = None
    last: date | None = None

    @property
    def days(self) -> int:
        if self.first is None or self.last is None:
            return 0
        return (self.last - self.first).days + 1


def read_traffic(logs: Iterable[Path], threads: int = 1) -> Traffic:
    """The sum of several logs, each of any known format.

    A log that cannot be read is named in the answer, and nothing of it counts. Queries are left
    out: they name renditions of one asset.
    """
    traffic = Traffic()
    with duckdb.connect(config={"threads": threads}) as base:
        base.execute(
            "CREATE TABLE counted (path VARCHAR, region VARCHAR, day VARCHAR, "
            "method VARCHAR, status VARCHAR, state VARCHAR, requests BIGINT, sent BIGINT, "
            "example VARCHAR)"
        )
        for log in logs:
            try:
                _count(base, log)
            except (InputError, duckdb.Error) as error:
                traffic.unread[str(log)] = str(error).splitlines()[0]
        base.execute(_MEANT)
        _tell(base, traffic)
    return traffic


def _count(base: duckdb.DuckDBPyConnection, log: Path) -> None:
    """All of one log, or nothing."""
    if not log.is_file():
        raise InputError("no such file")
    lines = base.execute(f"SELECT line FROM {_LINES} LIMIT {_HEAD}", [str(log)]).fetchall()
    if lines:
        format: LogFormat = format_of([line for (line,) in lines])
        counting = _COUNTED.format(lines=_LINES, query=format.query)
        base.execute(counting, [str(log)])


def _tell(base: duckdb.DuckDBPyConnection, traffic: Traffic) -> None:
    why = "SELECT why, sum(requests)::BIGINT FROM meant GROUP BY why"
    for reason, lines in base.execute(why).fetchall():
        traffic.lines += lines
        if reason is not None:
            traffic.left_out[reason] = lines
    broken = f"SELECT example FROM meant WHERE why = 'broken' LIMIT {_EXAMPLES}"
    traffic.examples = [_as_text(line)[:200] for (line,) in base.execute(broken).fetchall()]
    span = base.execute("SELECT min(day), max(day) FROM meant WHERE why IS NULL").fetchone()
    traffic.first, traffic.last = span if span else (None, None)
    for path, region, requests, sent, told, misses, missed in base.execute(_DEMAND).fetchall():
        # Where a cache's word is missing from lines, those misses are not known at all.
        known = told == requests
        traffic.demand.append(
            Demand(
                _as_text(path),
                region,
                requests,
                sent,
                (misses or 0) if known else None,
                (missed or 0) if known else None,
            )
        )


def _as_text(letters: str) -> str:
    return letters.encode("latin-1").decode("utf-8", "replace")
