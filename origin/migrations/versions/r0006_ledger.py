"""The ledger: sums of what regions answered and what that took, by minute, hour and day."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_BUCKETS = tuple(f"bucket_{number:02}" for number in range(14))
_LABELS = {
    "ledger_answers": ("property", "family", "outcome", "reason"),
    "ledger_work": ("device", "property", "family", "purpose"),
    "ledger_held": ("device", "host"),
    "ledger_carried": ("property", "what"),
}
_WHOLE = {
    "ledger_answers": (
        "answers",
        "client_bytes",
        "misses",
        "middle_mile_bytes",
        "avoidable_bytes",
        *_BUCKETS,
    ),
    "ledger_work": ("images",),
    "ledger_carried": ("carried_bytes",),
}
_PARTS = {
    "ledger_answers": ("generate_ms", "queue_ms"),
    "ledger_work": ("generate_s", "check_s", "encode_s", "other_s"),
    "ledger_held": ("allocated_s",),
}


def upgrade() -> None:
    op.create_table(
        "ledger_minutes",
        *(sa.Column(label, sa.String(length=80), nullable=False) for label in ("region", "worker")),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("region", "worker", "start", name=op.f("pk_ledger_minutes")),
    )
    op.create_index(op.f("ix_ledger_minutes_start"), "ledger_minutes", ["start"])
    for table, labels in _LABELS.items():
        named = ("region", *labels)
        op.create_table(
            table,
            sa.Column("span_s", sa.Integer(), nullable=False),
            sa.Column("start", sa.BigInteger(), nullable=False),
            *(sa.Column(label, sa.String(length=80), nullable=False) for label in named),
            *(sa.Column(sum_, sa.BigInteger(), nullable=False) for sum_ in _WHOLE.get(table, ())),
            *(sa.Column(sum_, sa.Double(), nullable=False) for sum_ in _PARTS.get(table, ())),
            sa.PrimaryKeyConstraint("span_s", "start", *named, name=op.f(f"pk_{table}")),
        )


def downgrade() -> None:
    for table in (*_LABELS, "ledger_minutes"):
        op.drop_table(table)
