"""Spans of the ledger as a table that queries join: no database reads others than these."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from sqlalchemy import CTE, BigInteger, Integer, column, text

Span = tuple[int, int, int, int]
"""The number under which it is summed, its length in seconds (as the ledger's tables name it), when
it begins, and 1 to add it or -1 to take it off."""

ONCE: Final = MappingProxyType({"compiled_cache": None})
"""Options of queries that join listed spans. Each is a text of its own: kept compiled, hundreds of
them would be looked through by each collection of garbage, for a tenth of a second."""


def listed(spans: Sequence[Span]) -> CTE:
    """Columns ``number``, ``span_s``, ``start`` and ``sign``; of one span or more."""
    values = ",".join(str(one) for one in spans)
    named = "column1 AS number, column2 AS span_s, column3 AS start, column4 AS sign"
    # As text: thousands of parameters take longer to name than their rows take to be read.
    wanted = text(f"SELECT {named} FROM (VALUES {values}) AS listed")
    return wanted.columns(
        column("number", Integer),
        column("span_s", Integer),
        column("start", BigInteger),
        column("sign", Integer),
    ).cte("wanted")
