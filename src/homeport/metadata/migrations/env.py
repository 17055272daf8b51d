"""Run by Alembic: migrate inside the transaction that `Database.upgrade` opened."""

from alembic import context

from homeport.metadata import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
