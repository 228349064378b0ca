"""Canaries: in which region a publication began, and since when it is everywhere."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    region = sa.Column("region", sa.String(length=40), server_default="", nullable=False)
    op.add_column("publications", region)
    op.add_column("publications", sa.Column("everywhere_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    for name in ("everywhere_at", "region"):
        op.drop_column("publications", name)
