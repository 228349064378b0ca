"""Candidates keep the payload that their recipe only names."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("candidates", sa.Column("payload", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("candidates", "payload")
