"""Sums of a span and region, packed: their labels as JSON beside an array of numbers.

Money by the day is told from some thousand spans, each with as many sums as a region has
properties. A database adds up a million rows by sorting them; packed, it reads one row of each span
and region, and numpy adds them up as they are.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from origin.database import insert_into
from origin.ledger.listed import ONCE, Span, listed
from origin.ledger.tables import PACKED, PACKED_SPANS_S, Packing, begin_of

Floats = NDArray[np.float64]
Labels = tuple[str, ...]
_Name = tuple[int, int, str, str]
"""Of a packed row: span, start, packing, region."""

_FORM = np.dtype("<f8")


@dataclass(frozen=True)
class Each:
    """Sums of many periods: ``sums`` are (label, period, sum), 0 where there was nothing."""

    labels: list[Labels]
    sums: Floats


@dataclass(frozen=True)
class _Part:
    """Packed rows of one region with the same labels, (span, row, sum), by the number of their
    period; ``keys`` say what a row is added to."""

    periods: NDArray[np.intp]
    signs: Floats
    keys: NDArray[np.intp]
    sums: Floats

    def by_period(self, periods: int) -> Floats:
        """(row, period, sum)"""
        begins = np.flatnonzero(np.diff(self.periods, prepend=-1))
        summed = np.add.reduceat(self.sums * self.signs[:, None, None], begins, axis=0)
        found = np.zeros((len(self.keys), periods, self.sums.shape[2]))
        found[:, self.periods[begins]] = summed.swapaxes(0, 1)
        return found


class Packs:
    """Sums that are to be added to what is packed."""

    def __init__(self) -> None:
        self._rows: defaultdict[_Name, dict[Labels, Floats]] = defaultdict(dict)

    def add(self, packing: Packing, region: str, at: int, values: Mapping[str, Any]) -> None:
        """``values`` of the second ``at``, by label and sum; sums that are not named are 0."""
        labels = tuple(values[name] for name in packing.labels)
        sums = np.array([values.get(name, 0) for name in packing.sums], _FORM)
        for span_s in PACKED_SPANS_S:
            rows = self._rows[span_s, begin_of(span_s, at), packing.name, region]
            rows[labels] = rows[labels] + sums if labels in rows else sums

    def write(self, session: Session) -> None:
        """Each packed row is begun where there is none, held, and written anew: what two
        transactions add is not lost."""
        names = sorted(self._rows)
        if not names:
            return
        keys = PACKED.primary_key.columns.keys()
        begun = [dict(zip(keys, name, strict=True), labels="[]", sums=b"") for name in names]
        session.execute(insert_into(session, PACKED).on_conflict_do_nothing(), begun)
        for name in names:
            its = [PACKED.c[key] == value for key, value in zip(keys, name, strict=True)]
            held = select(PACKED.c.labels, PACKED.c.sums).where(*its).with_for_update()
            rows = unpack(*session.execute(held).one())
            for labels, sums in self._rows[name].items():
                rows[labels] = rows[labels] + sums if labels in rows else sums
            session.execute(update(PACKED).where(*its).values(pack(rows)))


def pack(rows: Mapping[Labels, Sequence[float] | Floats]) -> dict[str, Any]:
    """The columns of a packed row; equal labels have equal text."""
    labels = sorted(rows)
    sums = np.array([rows[one] for one in labels], _FORM)
    return {"labels": json.dumps(labels, separators=(",", ":")), "sums": sums.tobytes()}


def unpack(labels: str, sums: bytes) -> dict[Labels, Floats]:
    names = json.loads(labels)
    rows = np.frombuffer(sums, _FORM).reshape(len(names), -1) if names else ()
    return {tuple(name): row for name, row in zip(names, rows, strict=True)}


def read_packed(
    session: Session,
    packing: Packing,
    by: Sequence[str],
    sums: Sequence[str],
    spans: Sequence[Span],
    periods: int,
    only: Mapping[str, str],
) -> Each:
    """Sums by labels, of spans that are added to the period of their number (or taken off); of rows
    whose labels are as in ``only``."""
    if not spans:
        return Each([], np.zeros((0, periods, len(sums))))
    wanted = listed(spans)
    its = (PACKED.c.span_s == wanted.c.span_s) & (PACKED.c.start == wanted.c.start)
    found = select(
        wanted.c.number, wanted.c.sign, PACKED.c.region, PACKED.c.labels, PACKED.c.sums
    ).join_from(wanted, PACKED, its & (PACKED.c.name == packing.name))
    if "region" in only:
        found = found.where(PACKED.c.region == only["region"])
    alike: defaultdict[tuple[str, str], list[tuple[int, int, bytes]]] = defaultdict(list)
    for number, sign, region, labels, content in session.execute(found, execution_options=ONCE):
        alike[region, labels].append((number, sign, content))
    keys: dict[Labels, int] = {}
    parts = [
        part
        for (region, labels), every in alike.items()
        if (part := _part(packing, region, labels, every, (by, sums, only), keys))
    ]
    total = np.zeros((len(keys), periods, len(sums)))
    for part in parts:
        np.add.at(total, part.keys, part.by_period(periods))
    return Each(list(keys), total)


def _part(
    packing: Packing,
    region: str,
    labels: str,
    every: Sequence[tuple[int, int, bytes]],
    asked: tuple[Sequence[str], Sequence[str], Mapping[str, str]],
    keys: dict[Labels, int],
) -> _Part | None:
    """``keys`` numbers the labels that are asked for, and is added to."""
    by, sums, only = asked
    every = sorted(every, key=itemgetter(0))
    names = [
        {"region": region, **dict(zip(packing.labels, one, strict=True))}
        for one in json.loads(labels)
    ]
    rows = [
        row
        for row, name in enumerate(names)
        if all(name[label] == value for label, value in only.items())
    ]
    if not rows:
        return None
    content = np.frombuffer(b"".join(one for _, _, one in every), _FORM)
    content = content.reshape(len(every), len(names), len(packing.sums))
    columns = [packing.sums.index(name) for name in sums]
    numbered = [
        keys.setdefault(tuple(names[row][label] for label in by), len(keys)) for row in rows
    ]
    return _Part(
        np.array([number for number, _, _ in every], np.intp),
        np.array([sign for _, sign, _ in every], np.float64),
        np.array(numbered, np.intp),
        content[np.ix_(range(len(every)), rows, columns)],
    )
