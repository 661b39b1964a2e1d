"""Corrections of lines beside those of digits: each has a kind, and its labels are texts."""

from __future__ import annotations

import sqlalchemy as sql
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the kind, make texts of labels, and count what waits by kind."""
    op.drop_index("corrections_state_received", "corrections")
    op.add_column("corrections", sql.Column("kind", sql.String(8)))
    op.execute("UPDATE corrections SET kind = 'digit'")
    with op.batch_alter_table(
        "corrections"
    ) as table:  # SQLite copies the table, for it can't change a column
        table.alter_column("kind", existing_type=sql.String(8), nullable=False)
        for name in ("label", "digit", "agreed"):
            using = f"{name}::varchar"
            table.alter_column(
                name, existing_type=sql.Integer(), type_=sql.String(24), postgresql_using=using
            )
    op.alter_column("corrections", "digit", new_column_name="said")
    op.create_index("corrections_state_kind_received", "corrections", ["state", "kind", "received"])
