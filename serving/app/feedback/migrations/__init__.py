"""How the tables came to be, step by step; `upgrade` brings a database to the newest.

A change of the table is one more file in versions/, which names the one before it; what is there already is
never edited, since databases remember which steps they have had.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sql
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError

from digits.runtime.errors import StoreError

ALONE = 0x646967697473  # of PostgreSQL's advisory locks: any number that nobody else uses


def current(connection: sql.Connection) -> bool:
    """Whether a database has had every step."""
    found = MigrationContext.configure(connection).get_current_revision()
    return found == ScriptDirectory.from_config(_config()).get_current_head()


def upgrade(connection: sql.Connection) -> None:
    """Take the steps that are missing, all or none, in the transaction that the connection is in.

    Who comes second waits for the first, and then finds nothing to do. Raises StoreError when a newer version
    of this project has been here.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sql.select(sql.func.pg_advisory_xact_lock(ALONE)))
    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(
            f"the corrections were kept by a newer version of this project ({error}): use that one"
        ) from None


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
