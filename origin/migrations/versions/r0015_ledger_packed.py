"""Sums that money and traffic are told from, packed by span and region.

What is there is packed from its rows, whose tables go where nothing else reads them.
"""

import json
from collections.abc import Iterator
from itertools import groupby, islice
from typing import Any

import numpy as np
import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_MINUTE_S = 60
_AT_ONCE = 500
_IS_FREE = "outcome IN ('rehydrated', 'replica') OR reason IN ('haul', 'resilience')"
_FREE = {
    "free_misses": ("misses", "0"),
    "free_avoidable_bytes": ("avoidable_bytes", "0"),
    "lost_bytes": ("0", "middle_mile_bytes"),
}
_PLACE = "span_s, start, region, property, family"
_FREED = ", ".join(
    f"SUM(CASE WHEN {_IS_FREE} THEN {free} ELSE {lost} END) AS {name}"
    for name, (free, lost) in _FREE.items()
)
_FAMILIES = (
    f"(SELECT {_PLACE}, missed_answers, misses, middle_mile_bytes, avoidable_bytes, made_misses, "
    f"{', '.join(f'COALESCE({name}, 0) AS {name}' for name in _FREE)}, mismatches, busy_s "
    f"FROM ledger_families LEFT JOIN (SELECT {_PLACE}, {_FREED} FROM ledger_answers "
    f"WHERE span_s > {_MINUTE_S} GROUP BY {_PLACE}) AS freed USING ({_PLACE})) AS families"
)
# By name: where rows come from, labels beside the region, and sums.
_PACKED = {
    "usage": (
        "ledger_usage",
        ("property",),
        (
            *("answers", "client_bytes", "misses", "kept_misses", "hauled_bytes"),
            *("avoidable_bytes", "sync_bytes", "model_bytes", "replica_bytes", "kept_byte_s"),
        ),
    ),
    "busy": ("ledger_busy", ("device", "property"), ("busy_s",)),
    "families": (
        _FAMILIES,
        ("property", "family"),
        (
            *("missed_answers", "misses", "middle_mile_bytes", "avoidable_bytes", "made_misses"),
            *_FREE,
            *("mismatches", "busy_s"),
        ),
    ),
}
_GONE = {"busy": "ledger_busy", "families": "ledger_families"}


def upgrade() -> None:
    packed = op.create_table(
        "ledger_packed",
        sa.Column("span_s", sa.Integer(), nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("region", sa.String(length=80), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("sums", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("span_s", "start", "name", "region", name=op.f("pk_ledger_packed")),
    )
    for name in () if op.get_context().as_sql else _PACKED:  # a script has no rows to read
        every = _packed(name)
        while some := list(islice(every, _AT_ONCE)):
            op.bulk_insert(packed, some)
    for table in _GONE.values():
        op.drop_table(table)


def _packed(name: str) -> Iterator[dict[str, Any]]:
    rows, labels, sums = _PACKED[name]
    chosen = sa.text(
        f"SELECT span_s, start, region, {', '.join((*labels, *sums))} FROM {rows} "
        f"WHERE span_s > {_MINUTE_S} ORDER BY span_s, start, region"
    )
    found = op.get_bind().execute(chosen, execution_options={"yield_per": 10_000})
    for (span_s, start, region), some in groupby(found, key=lambda row: tuple(row[:3])):
        every = sorted(tuple(row[3:]) for row in some)
        width = len(labels)
        yield {
            "span_s": span_s,
            "start": start,
            "name": name,
            "region": region,
            "labels": json.dumps([row[:width] for row in every], separators=(",", ":")),
            "sums": np.array([row[width:] for row in every], "<f8").tobytes(),
        }


def downgrade() -> None:
    for name, table in _GONE.items():
        _, labels, sums = _PACKED[name]
        kept = [one for one in sums if one not in _FREE]
        named = ("region", *labels)
        made = op.create_table(
            table,
            sa.Column("span_s", sa.Integer(), nullable=False),
            sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
            *(sa.Column(label, sa.String(length=80), nullable=False) for label in named),
            *(
                sa.Column(
                    sum_, sa.Double() if sum_ == "busy_s" else sa.BigInteger(), nullable=False
                )
                for sum_ in kept
            ),
            sa.PrimaryKeyConstraint("span_s", "start", *named, name=op.f(f"pk_{table}")),
        )
        for rows in _unpacked(name):
            op.bulk_insert(made, [{key: row[key] for key in made.c.keys()} for row in rows])
    op.drop_table("ledger_packed")


def _unpacked(name: str) -> Iterator[list[dict[str, Any]]]:
    _, labels, sums = _PACKED[name]
    chosen = sa.text(
        "SELECT span_s, start, region, labels, sums FROM ledger_packed WHERE name = :n"
    )
    for span_s, start, region, text, content in op.get_bind().execute(chosen, {"n": name}).all():
        names = json.loads(text)
        values = np.frombuffer(content, "<f8").reshape(len(names), len(sums)).tolist()
        yield [
            {"span_s": span_s, "start": start, "region": region}
            | dict(zip(labels, one, strict=True))
            | {
                key: value if key == "busy_s" else round(value)
                for key, value in zip(sums, row, strict=True)
            }
            for one, row in zip(names, values, strict=True)
        ]
