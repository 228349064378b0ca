"""What one process has counted since it started, and the rows of a ledger that lie between two
looks at it."""

from collections.abc import Mapping

from kvsync.ledger import Answers, Row

Name = tuple[type[Row], tuple[str, ...]]
Totals = Mapping[Name, tuple[float, ...]]
"""Sums that only grow, by kind of row and its labels; both in the order of the row's fields."""


class Meter:
    """Sums by row. One thread at a time adds."""

    def __init__(self) -> None:
        self._sums: dict[Name, tuple[float, ...]] = {}

    def add(self, kind: type[Row], labels: tuple[str, ...], *amounts: float) -> None:
        """Add to one row; ``amounts`` are those of its fields that are no labels."""
        name = kind, labels
        before = self._sums.get(name)
        if before is not None:
            amounts = tuple(old + new for old, new in zip(before, amounts, strict=True))
        self._sums[name] = amounts

    def totals(self) -> Totals:
        return dict(self._sums)


def rows_between(before: Totals, after: Totals) -> tuple[Row, ...]:
    """What was counted from ``before`` to ``after``; a row for each sum that grew."""
    rows = []
    for name, sums in after.items():
        earlier = before.get(name, (0,) * len(sums))
        if sums != earlier:
            grown = tuple(new - old for new, old in zip(sums, earlier, strict=True))
            rows.append(_row(*name, grown))
    return tuple(rows)


def _row(kind: type[Row], labels: tuple[str, ...], sums: tuple[float, ...]) -> Row:
    if kind is Answers:
        whole = len(Answers.__struct_fields__) - len(labels) - 1
        return Answers(*labels, *sums[:whole], sums[whole:])  # type: ignore[arg-type, call-arg]
    return kind(*labels, *sums)  # type: ignore[arg-type]
