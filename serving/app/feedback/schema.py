"""The table of corrections, which queries and migrations share, and the type of its rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sql

METADATA = sql.MetaData()
CORRECTIONS = sql.Table(
    "corrections",
    METADATA,
    sql.Column("id", sql.String(36), primary_key=True),
    sql.Column("received", sql.DateTime(timezone=True), nullable=False),  # UTC; SQLite keeps no zone
    sql.Column("kind", sql.String(8), nullable=False),
    sql.Column("image", sql.LargeBinary, nullable=False),
    sql.Column("digest", sql.String(64), nullable=False),
    sql.Column("label", sql.String(24), nullable=False),
    sql.Column("said", sql.String(24)),
    sql.Column("confidence", sql.Float),
    sql.Column("version", sql.Integer),
    sql.Column("source", sql.String(16), nullable=False),
    sql.Column("mode", sql.String(16), nullable=False),
    sql.Column("state", sql.String(16), nullable=False),
    sql.Column("agreed", sql.String(24)),  # the reviewer's label; `label` stays what the person sent
    sql.Column("reviewer", sql.String(100)),
    sql.Column("reviewed", sql.DateTime(timezone=True)),
    sql.Column("batch", sql.String(100)),
    sql.UniqueConstraint("digest", "label", name="corrections_digest_label"),
    sql.Index("corrections_state_kind_received", "state", "kind", "received"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A correction as it is kept. Times in UTC."""

    id: str
    received: datetime
    kind: str
    image: bytes
    digest: str
    label: str
    said: str | None
    confidence: float | None
    version: int | None
    source: str
    mode: str
    state: str
    agreed: str | None
    reviewer: str | None
    reviewed: datetime | None
    batch: str | None

    @property
    def final(self) -> str:
        """The label that goes to training: the reviewer's where there is one, else the person's."""
        return self.label if self.agreed is None else self.agreed


def row(found: sql.Row[tuple[object, ...]]) -> Row:
    """Of what a query of the whole table gives."""
    values = dict(found._mapping)
    for name in ("received", "reviewed"):
        if (at := values[name]) is not None:
            values[name] = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return Row(**values)
