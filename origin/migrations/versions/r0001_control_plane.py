"""The control plane: properties, models, assets, candidates, approvers, records, audit."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_APPEND_ONLY = {
    "sqlite": (
        "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit "
        "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END",
        "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit "
        "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END",
    ),
    "postgresql": (
        "CREATE RULE audit_no_update AS ON UPDATE TO audit DO INSTEAD NOTHING",
        "CREATE RULE audit_no_delete AS ON DELETE TO audit DO INSTEAD NOTHING",
    ),
}


def upgrade() -> None:
    _people()
    _assets()
    _candidates()
    _records()
    for statement in _APPEND_ONLY.get(op.get_context().dialect.name, ()):
        op.execute(statement)


def _people() -> None:
    op.create_table(
        "approvers",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvers")),
        sa.UniqueConstraint("name", name=op.f("uq_approvers_name")),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )


def _assets() -> None:
    op.create_table(
        "properties",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_properties")),
    )
    op.create_table(
        "assets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("property", sa.String(length=40), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("family", sa.String(), nullable=False),
        sa.Column("validator", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["property"], ["properties.id"], name=op.f("fk_assets_property")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assets")),
        sa.UniqueConstraint("property", "key", name=op.f("uq_assets_property_key")),
    )
    op.create_table(
        "models",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("property", sa.String(length=40), nullable=False),
        sa.Column("family", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("announcement", sa.LargeBinary(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["property"], ["properties.id"], name=op.f("fk_models_property")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_models")),
    )


def _candidates() -> None:
    op.create_table(
        "candidates",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column("original", sa.LargeBinary(), nullable=False),
        sa.Column("model", sa.LargeBinary(), nullable=False),
        sa.Column("recipe", sa.LargeBinary(), nullable=False),
        sa.Column("algorithm", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("ssimulacra2", sa.Double(), nullable=False),
        sa.Column("delta_e", sa.Double(), nullable=False),
        sa.Column("psnr", sa.Double(), nullable=False),
        sa.Column("seeds_tried", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("decided_by", sa.LargeBinary(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_candidates_asset_id")),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["approvers.id"], name=op.f("fk_candidates_decided_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_candidates")),
        sa.UniqueConstraint(
            "asset_id", "original", "recipe", name=op.f("uq_candidates_asset_id_original_recipe")
        ),
    )
    op.create_index(op.f("ix_candidates_asset_id"), "candidates", ["asset_id"], unique=False)
    op.create_index(op.f("ix_candidates_state"), "candidates", ["state"], unique=False)


def _records() -> None:
    op.create_table(
        "records",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("property", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column("candidate_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("signed", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_records_asset_id")),
        sa.ForeignKeyConstraint(
            ["candidate_id"], ["candidates.id"], name=op.f("fk_records_candidate_id")
        ),
        sa.ForeignKeyConstraint(["property"], ["properties.id"], name=op.f("fk_records_property")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_records")),
        sa.UniqueConstraint("property", "seq", name=op.f("uq_records_property_seq")),
    )
    op.create_index(op.f("ix_records_asset_id"), "records", ["asset_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_records_asset_id"), table_name="records")
    op.drop_table("records")
    op.drop_index(op.f("ix_candidates_state"), table_name="candidates")
    op.drop_index(op.f("ix_candidates_asset_id"), table_name="candidates")
    op.drop_table("candidates")
    op.drop_table("models")
    op.drop_table("assets")
    op.drop_table("properties")
    op.drop_table("audit")
    op.drop_table("approvers")
