"""How many candidates of each family are in which state, by score: kept by the database itself.

A page that shows a family's coverage then reads a few rows, however many candidates there are.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# Whole points of SSIMULACRA2 from 80 to 99; those below and above are with the first and the last.
_POINTS = (
    "CASE WHEN {row}.ssimulacra2 < 81 THEN 80 WHEN {row}.ssimulacra2 >= 99 THEN 99"
    " ELSE CAST(FLOOR({row}.ssimulacra2) AS INTEGER) END"
)
# Not every SQLite knows FLOOR; its CAST cuts off.
_POINTS_SQLITE = _POINTS.replace("FLOOR({row}.ssimulacra2)", "{row}.ssimulacra2")
_ADD = (
    "INSERT INTO candidate_counts (property, family, state, points, candidates) "
    "VALUES (NEW.property, NEW.family, NEW.state, {points}, 1) "
    "ON CONFLICT (property, family, state, points) "
    "DO UPDATE SET candidates = candidate_counts.candidates + 1;"
)
_TAKE = (
    "UPDATE candidate_counts SET candidates = candidates - 1 WHERE property = OLD.property "
    "AND family = OLD.family AND state = OLD.state AND points = {points};"
)
_CHANGES = "UPDATE OF property, family, state, ssimulacra2"


def upgrade() -> None:
    op.create_table(
        "candidate_counts",
        sa.Column("property", sa.String(length=40), nullable=False),
        sa.Column("family", sa.String(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("points", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("candidates", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "property", "family", "state", "points", name=op.f("pk_candidate_counts")
        ),
    )
    dialect = op.get_context().dialect.name
    points = (_POINTS_SQLITE if dialect == "sqlite" else _POINTS).format(row="candidates")
    op.execute(
        "INSERT INTO candidate_counts (property, family, state, points, candidates) "
        f"SELECT property, family, state, {points}, COUNT(*) FROM candidates GROUP BY 1, 2, 3, 4"
    )
    for statement in _sqlite() if dialect == "sqlite" else _postgresql():
        op.execute(statement)


def downgrade() -> None:
    sqlite = op.get_context().dialect.name == "sqlite"
    for name in ("in", "changed", "out"):
        op.execute(f"DROP TRIGGER candidates_{name}" + ("" if sqlite else " ON candidates"))
    if not sqlite:
        op.execute("DROP FUNCTION count_candidates()")
    op.drop_table("candidate_counts")


def _sqlite() -> list[str]:
    add = _ADD.format(points=_POINTS_SQLITE.format(row="NEW"))
    take = _TAKE.format(points=_POINTS_SQLITE.format(row="OLD"))
    return [
        f"CREATE TRIGGER candidates_in AFTER INSERT ON candidates BEGIN {add} END",
        f"CREATE TRIGGER candidates_changed AFTER {_CHANGES} ON candidates BEGIN {take} {add} END",
        f"CREATE TRIGGER candidates_out AFTER DELETE ON candidates BEGIN {take} END",
    ]


def _postgresql() -> list[str]:
    add = _ADD.format(points=_POINTS.format(row="NEW"))
    take = _TAKE.format(points=_POINTS.format(row="OLD"))
    # One transaction at a time counts, so that two that count the same rows in another order do not
    # wait for each other.
    function = (
        "CREATE FUNCTION count_candidates() RETURNS trigger AS $$ BEGIN "
        "PERFORM pg_advisory_xact_lock(7237129); "
        f"IF TG_OP <> 'INSERT' THEN {take} END IF; "
        f"IF TG_OP <> 'DELETE' THEN {add} END IF; "
        "RETURN NULL; END $$ LANGUAGE plpgsql"
    )
    each = "FOR EACH ROW EXECUTE FUNCTION count_candidates()"
    return [
        function,
        f"CREATE TRIGGER candidates_in AFTER INSERT ON candidates {each}",
        f"CREATE TRIGGER candidates_changed AFTER {_CHANGES} ON candidates {each}",
        f"CREATE TRIGGER candidates_out AFTER DELETE ON candidates {each}",
    ]
