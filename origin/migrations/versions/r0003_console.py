"""The operators' console: people, prompt sets, jobs, decisions; doubt and colour of candidates."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_DOUBT = (
    "CASE WHEN (100 - ssimulacra2) / 20.0 > delta_e / 2.5"
    " THEN (100 - ssimulacra2) / 20.0 ELSE delta_e / 2.5 END"
)


def upgrade() -> None:
    _candidates()
    _people()
    _prompt_sets()
    _judgements()
    _publications()


def downgrade() -> None:
    for table in (
        *(
            "publications",
            "bulk_samples",
            "comments",
            "decisions",
            "jobs",
            "prompts",
            "prompt_sets",
        ),
        *("login_attempts", "tokens", "sessions", "accounts"),
    ):
        op.drop_table(table)
    op.drop_index(op.f("ix_candidates_doubt"), "candidates")
    op.drop_column("candidates", "doubt")
    op.drop_column("candidates", "region_delta_e")


def _candidates() -> None:
    op.add_column("candidates", sa.Column("region_delta_e", sa.JSON(), nullable=True))
    # SQLite adds a computed column only when it is not stored; PostgreSQL before 18 only stores.
    stored = op.get_bind().dialect.name == "postgresql"
    doubt: sa.Column[float] = sa.Column(
        "doubt", sa.Double(), sa.Computed(_DOUBT, persisted=stored), nullable=True
    )
    op.add_column("candidates", doubt)
    op.create_index(op.f("ix_candidates_doubt"), "candidates", ["doubt"])


def _people() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("password", sa.String(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("approver_id", sa.LargeBinary(), nullable=False),
        sa.Column("must_change", sa.Boolean(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        _foreign("accounts", "approver_id", "approvers.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("name", name=op.f("uq_accounts_name")),
    )
    op.create_table(
        "sessions",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        _foreign("sessions", "account_id", "accounts.id"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_account_id"), "sessions", ["account_id"])
    op.create_table(
        "tokens",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        _foreign("tokens", "account_id", "accounts.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_tokens_digest")),
    )
    op.create_table(
        "login_attempts",
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_login_attempts")),
    )


def _prompt_sets() -> None:
    op.create_table(
        "prompt_sets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("property", sa.String(length=40), nullable=False),
        sa.Column("family", sa.String(), nullable=False),
        sa.Column("model", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        _foreign("prompt_sets", "property", "properties.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_sets")),
    )
    op.create_index(op.f("ix_prompt_sets_property"), "prompt_sets", ["property"])
    op.create_table(
        "prompts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("set_id", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("sampler", sa.String(length=40), nullable=False),
        sa.Column("guidance", sa.Double(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("candidate_id", sa.Integer(), nullable=True),
        _foreign("prompts", "set_id", "prompt_sets.id"),
        _foreign("prompts", "candidate_id", "candidates.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompts")),
    )
    op.create_index("ix_prompts_set_id_state", "prompts", ["set_id", "state"])
    op.create_index(op.f("ix_prompts_candidate_id"), "prompts", ["candidate_id"])
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("set_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("seeds", sa.Integer(), nullable=False),
        sa.Column("min_score", sa.Double(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        _foreign("jobs", "set_id", "prompt_sets.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(op.f("ix_jobs_set_id"), "jobs", ["set_id"])
    op.create_index(op.f("ix_jobs_state"), "jobs", ["state"])


def _judgements() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("candidate_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("undone_at", sa.BigInteger(), nullable=True),
        _foreign("decisions", "candidate_id", "candidates.id"),
        _foreign("decisions", "account_id", "accounts.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_candidate_id"), "decisions", ["candidate_id"])
    op.create_index(op.f("ix_decisions_account_id"), "decisions", ["account_id"])
    op.create_table(
        "comments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("candidate_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        _foreign("comments", "candidate_id", "candidates.id"),
        _foreign("comments", "account_id", "accounts.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comments")),
    )
    op.create_index(op.f("ix_comments_candidate_id"), "comments", ["candidate_id"])
    op.create_table(
        "bulk_samples",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("set_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("least_score", sa.Double(), nullable=False),
        sa.Column("most_delta_e", sa.Double(), nullable=False),
        sa.Column("candidates", sa.JSON(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("approved", sa.JSON(), nullable=False),
        _foreign("bulk_samples", "set_id", "prompt_sets.id"),
        _foreign("bulk_samples", "account_id", "accounts.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_samples")),
    )


def _publications() -> None:
    op.create_table(
        "publications",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("property", sa.String(length=40), nullable=False),
        sa.Column("set_id", sa.Integer(), nullable=True),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("rolled_back_at", sa.BigInteger(), nullable=True),
        _foreign("publications", "property", "properties.id"),
        _foreign("publications", "set_id", "prompt_sets.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_publications")),
    )


def _foreign(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_{table}_{column}"))
