"""Run by Alembic: migrate inside the transaction that `Database.upgrade` opened."""

from alembic import context

from homeport.metadata import postgresql, tables

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=tables.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
    if connection.dialect.name == "postgresql":
        # Also the columns that the migrations just added.
        postgresql.collate_bytewise(connection)
