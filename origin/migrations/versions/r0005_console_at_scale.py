"""The console with many candidates: each in the order of its queue, and families by their names."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_INDEXES = {
    "candidates": (
        ("property", "doubt", "id", "state", "family"),
        ("property", "ssimulacra2", "id", "state", "family"),
        ("property", "delta_e", "id", "state", "family"),
        ("property", "state", "family", "ssimulacra2"),
    ),
    "assets": (("property", "path"), ("property", "family", "size")),
    "records": (("candidate_id",),),
    "prompts": (("path",),),
    "audit": (("who", "id"), ("what", "id")),
}


def upgrade() -> None:
    for name, length in (("property", 40), ("family", None)):
        column = sa.Column(name, sa.String(length=length), server_default="", nullable=False)
        op.add_column("candidates", column)
    op.execute(
        "UPDATE candidates SET "
        "property = (SELECT property FROM assets WHERE assets.id = candidates.asset_id), "
        "family = (SELECT family FROM assets WHERE assets.id = candidates.asset_id)"
    )
    for name in ("doubt", "state"):
        op.drop_index(op.f(f"ix_candidates_{name}"), "candidates")
    for table, indexes in _INDEXES.items():
        for columns in indexes:
            op.create_index(_name(table, columns), table, list(columns))
    op.create_table(
        "families",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("property", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("originals", sa.Integer(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("looked_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["property"], ["properties.id"], name=op.f("fk_families_property")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_families")),
        sa.UniqueConstraint("property", "name", name=op.f("uq_families_property_name")),
    )


def downgrade() -> None:
    op.drop_table("families")
    for table, indexes in _INDEXES.items():
        for columns in indexes:
            op.drop_index(_name(table, columns), table)
    for name in ("doubt", "state"):
        op.create_index(op.f(f"ix_candidates_{name}"), "candidates", [name])
    op.drop_column("candidates", "family")
    op.drop_column("candidates", "property")


def _name(table: str, columns: tuple[str, ...]) -> str:
    return op.f(f"ix_{table}_{'_'.join(columns)}")
