"""The ledger also sums what regions keep, what crossed the middle mile, and open breakers."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_LABELS = {
    "ledger_kept": {"property": 80, "what": 80},
    "ledger_crossed": {"property": 80, "asset": 200, "reason": 80},
    "ledger_open": {"peer": 80},
}
_SUMS: dict[str, dict[str, sa.types.TypeEngine[float] | sa.types.TypeEngine[int]]] = {
    "ledger_kept": {"byte_s": sa.Double()},
    "ledger_crossed": {"misses": sa.BigInteger(), "middle_mile_bytes": sa.BigInteger()},
    "ledger_open": {"open_s": sa.Double()},
}


def upgrade() -> None:
    for table, labels in _LABELS.items():
        named = {"region": 80, **labels}
        op.create_table(
            table,
            sa.Column("span_s", sa.Integer(), nullable=False),
            sa.Column("start", sa.BigInteger(), nullable=False),
            *(
                sa.Column(label, sa.String(length=length), nullable=False)
                for label, length in named.items()
            ),
            *(sa.Column(sum_, kind, nullable=False) for sum_, kind in _SUMS[table].items()),
            sa.PrimaryKeyConstraint("span_s", "start", *named, name=op.f(f"pk_{table}")),
        )


def downgrade() -> None:
    for table in _LABELS:
        op.drop_table(table)
