"""The table of corrections."""

from __future__ import annotations

import sqlalchemy as sql
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "corrections",
        sql.Column("id", sql.String(36), primary_key=True),
        sql.Column("received", sql.DateTime(timezone=True), nullable=False),
        sql.Column("image", sql.LargeBinary, nullable=False),
        sql.Column("digest", sql.String(64), nullable=False),
        sql.Column("label", sql.Integer, nullable=False),
        sql.Column("digit", sql.Integer),
        sql.Column("confidence", sql.Float),
        sql.Column("version", sql.Integer),
        sql.Column("source", sql.String(16), nullable=False),
        sql.Column("mode", sql.String(16), nullable=False),
        sql.Column("state", sql.String(16), nullable=False),
        sql.Column("agreed", sql.Integer),
        sql.Column("reviewer", sql.String(100)),
        sql.Column("reviewed", sql.DateTime(timezone=True)),
        sql.Column("batch", sql.String(100)),
        sql.UniqueConstraint("digest", "label", name="corrections_digest_label"),
    )
    op.create_index("corrections_state_received", "corrections", ["state", "received"])


def downgrade() -> None:
    """Take it away, with all that is in it."""
    op.drop_table("corrections")
