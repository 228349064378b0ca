"""What money is computed from, summed by region and property; prices that were chosen."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_WHOLE = (
    "answers",
    "client_bytes",
    "misses",
    "kept_misses",
    "hauled_bytes",
    "avoidable_bytes",
    "sync_bytes",
    "model_bytes",
    "replica_bytes",
)
_LABELS = ("region", "property")


def upgrade() -> None:
    op.create_table(
        "ledger_usage",
        sa.Column("span_s", sa.Integer(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        *(sa.Column(label, sa.String(length=80), nullable=False) for label in _LABELS),
        *(sa.Column(sum_, sa.BigInteger(), nullable=False) for sum_ in _WHOLE),
        sa.Column("kept_byte_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("span_s", "start", *_LABELS, name=op.f("pk_ledger_usage")),
    )
    op.create_table(
        "price_choices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("property", sa.String(length=80), nullable=False),
        sa.Column("region", sa.String(length=80), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("book", sa.Text(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_choices")),
    )


def downgrade() -> None:
    for table in ("price_choices", "ledger_usage"):
        op.drop_table(table)
