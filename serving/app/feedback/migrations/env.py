"""Alembic runs this for each upgrade: on the connection, and in the transaction, that `upgrade` gives."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
