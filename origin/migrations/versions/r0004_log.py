"""The log: what changed, numbered per property, and how it was sealed into batches."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "log_entries",
        sa.Column("property", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("tag", sa.String(length=16), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["property"], ["properties.id"], name=op.f("fk_log_entries_property")
        ),
        sa.PrimaryKeyConstraint("property", "seq", name=op.f("pk_log_entries")),
    )
    op.create_index(
        op.f("ix_log_entries_property_key_seq"), "log_entries", ["property", "key", "seq"]
    )
    op.create_table(
        "log_batches",
        sa.Column("property", sa.String(length=40), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("made_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["property"], ["properties.id"], name=op.f("fk_log_batches_property")
        ),
        sa.PrimaryKeyConstraint("property", "first", name=op.f("pk_log_batches")),
        sa.UniqueConstraint("property", "last", name=op.f("uq_log_batches_property_last")),
    )
    _move_records()


def _move_records() -> None:
    """What was signed lies in the log alone from now on."""
    op.execute(
        "INSERT INTO log_entries (property, seq, tag, key, content) "
        "SELECT r.property, r.seq, CASE r.kind WHEN 'record' THEN 'put' ELSE r.kind END, "
        "a.key, r.signed FROM records r JOIN assets a ON a.id = r.asset_id"
    )
    op.drop_column("records", "signed")


def downgrade() -> None:
    op.add_column(
        "records",
        sa.Column("signed", sa.LargeBinary(), nullable=False, server_default=sa.text("''")),
    )
    op.execute(
        "UPDATE records SET signed = (SELECT content FROM log_entries e "
        "WHERE e.property = records.property AND e.seq = records.seq)"
    )
    op.drop_table("log_batches")
    op.drop_index(op.f("ix_log_entries_property_key_seq"), table_name="log_entries")
    op.drop_table("log_entries")
