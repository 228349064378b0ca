"""How Alembic reaches the database: through the connection it is given, or as a SQL script."""

from alembic import context

from origin.tables import Base

connection = context.config.attributes.get("connection")
if connection is None:
    context.configure(
        dialect_name=context.config.get_main_option("dialect") or "sqlite",
        target_metadata=Base.metadata,
        literal_binds=True,
    )
else:
    context.configure(connection=connection, target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
