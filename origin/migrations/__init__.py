"""Alembic migrations of the control plane; run by origin.database when it opens one."""
