"""What lists of publications and the newest settings of a property need, without reading all.

The assets of a publication are counted when it is made: how many ids it holds says a page that
shows fifty of them, without the ids. The newest entry of a kind is a step in an index.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_INDEX = "ix_log_entries_property_tag_seq"


def upgrade() -> None:
    assets = sa.Column("assets", sa.Integer(), server_default="0", nullable=False)
    op.add_column("publications", assets)
    sqlite = op.get_context().dialect.name == "sqlite"
    ids = "json_each(publications.after)" if sqlite else "json_object_keys(publications.after)"
    op.execute(f"UPDATE publications SET assets = (SELECT COUNT(*) FROM {ids})")
    op.create_index(op.f(_INDEX), "log_entries", ["property", "tag", "seq"])


def downgrade() -> None:
    op.drop_index(op.f(_INDEX), "log_entries")
    op.drop_column("publications", "assets")
