"""The queue goes by the worst of all metrics, and each of its orders is read from one index.

The rows of a prompt set are counted by the database itself, as candidates are: a set's page then
reads a few rows, however many prompts it has.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_SCORE, _COLOUR, _NOISE = "(100 - ssimulacra2) / 20.0", "worst_delta_e / 2.5", "(50 - psnr) / 20.0"
_DOUBT = (
    f"CASE WHEN {_SCORE} >= {_COLOUR} AND {_SCORE} >= {_NOISE} THEN {_SCORE}"
    f" WHEN {_COLOUR} >= {_NOISE} THEN {_COLOUR} ELSE {_NOISE} END"
)
_DOUBT_BEFORE = (
    "CASE WHEN (100 - ssimulacra2) / 20.0 > delta_e / 2.5"
    " THEN (100 - ssimulacra2) / 20.0 ELSE delta_e / 2.5 END"
)
_BY_DOUBT = ("property", "doubt", "id", "state", "family")
_BY_MEAN = ("property", "delta_e", "id", "state", "family")
_NEW = (
    ("property", "worst_delta_e", "id", "state", "family"),
    ("property", "path", "id", "state", "family"),
    ("property", "id", "state", "family"),
)
# A row's own state, or that of the candidate it led to.
_STATE = "COALESCE((SELECT state FROM candidates WHERE id = {row}.candidate_id), {row}.state)"
_COUNT = (
    "INSERT INTO prompt_counts (set_id, state, prompts) {rows} "
    "ON CONFLICT (set_id, state) DO UPDATE SET prompts = prompt_counts.prompts + excluded.prompts;"
)
_MORE = _COUNT.format(rows=f"VALUES (NEW.set_id, {_STATE.format(row='NEW')}, 1)")
_FEWER = _COUNT.format(rows=f"VALUES (OLD.set_id, {_STATE.format(row='OLD')}, -1)")
_OF_CANDIDATE = (
    "SELECT set_id, {row}.state, {sign}COUNT(*) FROM prompts WHERE candidate_id = {row}.id "
    "GROUP BY set_id"
)
_STATE_LEFT = _COUNT.format(rows=_OF_CANDIDATE.format(row="OLD", sign="-"))
_STATE_TAKEN = _COUNT.format(rows=_OF_CANDIDATE.format(row="NEW", sign=""))
_PROMPT_CHANGES = "UPDATE OF set_id, state, candidate_id ON prompts"


def upgrade() -> None:
    op.drop_index(_name(_BY_DOUBT), "candidates")
    op.drop_index(_name(_BY_MEAN), "candidates")
    op.drop_column("candidates", "doubt")
    op.add_column("candidates", sa.Column("path", sa.Text(), server_default="", nullable=False))
    op.execute(
        "UPDATE candidates SET "
        "path = (SELECT path FROM assets WHERE assets.id = candidates.asset_id)"
    )
    _add_worst()
    _add_doubt(_DOUBT)
    for columns in (_BY_DOUBT, *_NEW):
        op.create_index(_name(columns), "candidates", list(columns))
    _count_prompts()


def downgrade() -> None:
    sqlite = op.get_context().dialect.name == "sqlite"
    for name, table in (
        ("prompts_in", "prompts"),
        ("prompts_changed", "prompts"),
        ("prompts_out", "prompts"),
        ("candidates_decided", "candidates"),
    ):
        op.execute(f"DROP TRIGGER {name}" + ("" if sqlite else f" ON {table}"))
    if not sqlite:
        op.execute("DROP FUNCTION count_prompts()")
        op.execute("DROP FUNCTION count_decided_prompts()")
    op.drop_table("prompt_counts")
    for columns in (_BY_DOUBT, *_NEW):
        op.drop_index(_name(columns), "candidates")
    for column in ("doubt", "worst_delta_e", "path"):
        op.drop_column("candidates", column)
    _add_doubt(_DOUBT_BEFORE)
    for columns in (_BY_DOUBT, _BY_MEAN):
        op.create_index(_name(columns), "candidates", list(columns))


def _add_worst() -> None:
    column: sa.Column[float] = sa.Column(
        "worst_delta_e", sa.Double(), server_default="0", nullable=False
    )
    op.add_column("candidates", column)
    if op.get_context().dialect.name == "sqlite":
        largest = "SELECT MAX(value) FROM json_each(region_delta_e)"
    else:
        # What was not measured may be a JSON null.
        measured = "CASE json_typeof(region_delta_e) WHEN 'object' THEN region_delta_e END"
        largest = f"SELECT MAX(CAST(value AS double precision)) FROM json_each_text({measured})"
    op.execute(f"UPDATE candidates SET worst_delta_e = COALESCE(({largest}), delta_e)")


def _add_doubt(of: str) -> None:
    # SQLite adds a computed column only when it is not stored; PostgreSQL before 18 only stores.
    stored = op.get_context().dialect.name == "postgresql"
    doubt: sa.Column[float] = sa.Column(
        "doubt", sa.Double(), sa.Computed(of, persisted=stored), nullable=True
    )
    op.add_column("candidates", doubt)


def _count_prompts() -> None:
    op.create_table(
        "prompt_counts",
        sa.Column("set_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("prompts", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["set_id"], ["prompt_sets.id"], name=op.f("fk_prompt_counts_set_id")
        ),
        sa.PrimaryKeyConstraint("set_id", "state", name=op.f("pk_prompt_counts")),
    )
    op.execute(
        "INSERT INTO prompt_counts (set_id, state, prompts) "
        f"SELECT set_id, {_STATE.format(row='prompts')}, COUNT(*) FROM prompts GROUP BY 1, 2"
    )
    sqlite = op.get_context().dialect.name == "sqlite"
    for statement in _sqlite() if sqlite else _postgresql():
        op.execute(statement)


def _sqlite() -> list[str]:
    return [
        f"CREATE TRIGGER prompts_in AFTER INSERT ON prompts BEGIN {_MORE} END",
        f"CREATE TRIGGER prompts_changed AFTER {_PROMPT_CHANGES} BEGIN {_FEWER} {_MORE} END",
        f"CREATE TRIGGER prompts_out AFTER DELETE ON prompts BEGIN {_FEWER} END",
        "CREATE TRIGGER candidates_decided AFTER UPDATE OF state ON candidates "
        f"BEGIN {_STATE_LEFT} {_STATE_TAKEN} END",
    ]


def _postgresql() -> list[str]:
    # One transaction at a time counts, as with candidates.
    one_by_one = "PERFORM pg_advisory_xact_lock(7237129)"
    of_prompts = (
        f"CREATE FUNCTION count_prompts() RETURNS trigger AS $$ BEGIN {one_by_one}; "
        f"IF TG_OP <> 'INSERT' THEN {_FEWER} END IF; "
        f"IF TG_OP <> 'DELETE' THEN {_MORE} END IF; "
        "RETURN NULL; END $$ LANGUAGE plpgsql"
    )
    of_candidates = (
        f"CREATE FUNCTION count_decided_prompts() RETURNS trigger AS $$ BEGIN {one_by_one}; "
        f"{_STATE_LEFT} {_STATE_TAKEN} RETURN NULL; END $$ LANGUAGE plpgsql"
    )
    each = "FOR EACH ROW EXECUTE FUNCTION count_prompts()"
    return [
        of_prompts,
        of_candidates,
        f"CREATE TRIGGER prompts_in AFTER INSERT ON prompts {each}",
        f"CREATE TRIGGER prompts_changed AFTER {_PROMPT_CHANGES} {each}",
        f"CREATE TRIGGER prompts_out AFTER DELETE ON prompts {each}",
        "CREATE TRIGGER candidates_decided AFTER UPDATE OF state ON candidates "
        "FOR EACH ROW EXECUTE FUNCTION count_decided_prompts()",
    ]


def _name(columns: tuple[str, ...]) -> str:
    return op.f(f"ix_candidates_{'_'.join(columns)}")
