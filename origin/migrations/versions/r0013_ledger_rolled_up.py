"""The ledger rolled up further: by fewer labels, and to quarters of an hour and to six hours.

What is there is rolled up from the rows that are kept.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TIMES = (*(f"bucket_{number:02}" for number in range(14)), "generate_ms", "queue_ms")
_COUNTS = ("answers", "client_bytes", "misses", "middle_mile_bytes", "avoidable_bytes")
_ANSWERED = (
    "missed_answers",
    "misses",
    "middle_mile_bytes",
    "avoidable_bytes",
    "made_misses",
    "mismatches",
)
_BUSY_PARTS = ("generate_s", "check_s", "encode_s", "other_s")
_BUSY = " + ".join(_BUSY_PARTS)
_MADE = ("ledger_busy", "ledger_outcomes", "ledger_families")

# By table: labels beside the region, and sums.
_TABLES = {
    "ledger_answers": (("property", "family", "outcome", "reason"), (*_COUNTS, *_TIMES)),
    "ledger_work": (("device", "property", "family", "purpose"), ("images", *_BUSY_PARTS)),
    "ledger_held": (("device", "host"), ("allocated_s",)),
    "ledger_carried": (("property", "what"), ("carried_bytes",)),
    "ledger_kept": (("property", "what"), ("byte_s",)),
    "ledger_crossed": (("property", "asset", "reason"), ("misses", "middle_mile_bytes")),
    "ledger_open": (("peer",), ("open_s",)),
    "ledger_usage": (
        ("property",),
        (
            *("answers", "client_bytes", "misses", "kept_misses", "hauled_bytes"),
            *("avoidable_bytes", "sync_bytes", "model_bytes", "replica_bytes", "kept_byte_s"),
        ),
    ),
    "ledger_busy": (("device", "property"), ("busy_s",)),
    "ledger_outcomes": (("outcome", "reason"), (*_COUNTS, *_TIMES)),
    "ledger_families": (("property", "family"), (*_ANSWERED, "busy_s")),
}
_FLOATS = {"busy_s", "generate_ms", "queue_ms"}

_FAMILIES = (
    "SELECT span_s, start, region, property, family, "
    "CASE WHEN outcome IN ('rehydrated', 'replica', 'origin') THEN answers ELSE 0 END "
    "AS missed_answers, misses, middle_mile_bytes, avoidable_bytes, "
    "CASE WHEN outcome = 'rehydrated' THEN misses ELSE 0 END AS made_misses, "
    "CASE WHEN reason = 'fingerprint' THEN answers ELSE 0 END AS mismatches, 0.0 AS busy_s "
    "FROM ledger_answers UNION ALL "
    f"SELECT span_s, start, region, property, family, 0, 0, 0, 0, 0, 0, {_BUSY} FROM ledger_work"
)
_FROM = {
    "ledger_busy": f"(SELECT span_s, start, region, device, property, {_BUSY} AS busy_s "
    "FROM ledger_work) AS work",
    "ledger_outcomes": "ledger_answers",
    "ledger_families": f"({_FAMILIES}) AS families",
}


def upgrade() -> None:
    for table in _MADE:
        labels, sums = _TABLES[table]
        named = ("region", *labels)
        op.create_table(
            table,
            sa.Column("span_s", sa.Integer(), nullable=False),
            sa.Column("start", sa.BigInteger(), nullable=False),
            *(sa.Column(label, sa.String(length=80), nullable=False) for label in named),
            *(
                sa.Column(sum_, sa.Double() if sum_ in _FLOATS else sa.BigInteger(), nullable=False)
                for sum_ in sums
            ),
            sa.PrimaryKeyConstraint("span_s", "start", *named, name=op.f(f"pk_{table}")),
        )
        _roll_up(table, "span_s", "start", _FROM[table])
    for table in _TABLES:
        for span_s, parts_s in ((900, 60), (21_600, 3_600)):
            of_parts = f"{table} WHERE span_s = {parts_s}"
            _roll_up(table, str(span_s), f"start - start % {span_s}", of_parts)

    largest = ["span_s", "start", "middle_mile_bytes", "property", "region"]
    op.create_index("ix_ledger_crossed_largest", "ledger_crossed", largest)


def downgrade() -> None:
    op.drop_index("ix_ledger_crossed_largest", "ledger_crossed")
    for table in _MADE:
        op.drop_table(table)
    for table in _TABLES.keys() - set(_MADE):
        op.execute(f"DELETE FROM {table} WHERE span_s IN (900, 21600)")


def _roll_up(table: str, span_s: str, start: str, rows: str) -> None:
    labels, sums = _TABLES[table]
    named = ", ".join(("region", *labels))
    summed = ", ".join(f"SUM({name})" for name in sums)
    # Grouped by where they stand: a column and what it is selected as may have one name.
    places = ", ".join(str(number) for number in range(1, 4 + len(labels)))
    op.execute(
        f"INSERT INTO {table} (span_s, start, {named}, {', '.join(sums)}) "
        f"SELECT {span_s}, {start}, {named}, {summed} FROM {rows} GROUP BY {places}"
    )
