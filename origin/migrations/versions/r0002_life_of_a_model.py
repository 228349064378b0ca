"""Approvals carried to a new model, models that retired, and ranges approved by a sample."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # No foreign key: SQLite could only add one by copying the table.
    op.add_column("candidates", sa.Column("carried_from", sa.Integer(), nullable=True))
    op.add_column("models", sa.Column("retired_at", sa.BigInteger(), nullable=True))
    op.create_table(
        "ranges",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("property", sa.String(length=40), nullable=False),
        sa.Column("family", sa.String(), nullable=False),
        sa.Column("attribute", sa.String(), nullable=False),
        sa.Column("low", sa.JSON(), nullable=False),
        sa.Column("high", sa.JSON(), nullable=False),
        sa.Column("turns", sa.Boolean(), nullable=False),
        sa.Column("sample", sa.JSON(), nullable=False),
        sa.Column("drawn_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.LargeBinary(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["property"], ["properties.id"], name=op.f("fk_ranges_property")),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["approvers.id"], name=op.f("fk_ranges_decided_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ranges")),
    )


def downgrade() -> None:
    op.drop_table("ranges")
    op.drop_column("models", "retired_at")
    op.drop_column("candidates", "carried_from")
