"""What `digits feedback list` and `sheet` show of corrections."""

from __future__ import annotations

import argparse
import io
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serving.app.feedback.schema import Row
    from serving.app.feedback.store import FeedbackStore

MOST_SHOWN = 400  # images of a sheet


async def listed(store: FeedbackStore, given: argparse.Namespace) -> int:
    """Print them, the oldest first: a table, or a line of JSON each."""
    from rich.markup import escape

    from digits_cli import project
    from serving.app.feedback import reviewing

    found = await reviewing.rows(store, given.state)
    if given.json:
        for row in found:
            print(json.dumps(_plain(row), sort_keys=True))  # noqa: T201
        return 0
    table = project.table("id", "received", "state", "person", "model", "reviewer", "source", "batch")
    for row in found:
        person = str(row.label) if row.final == row.label else f"{row.label}, reviewer: {row.final}"
        model = "" if row.digit is None else str(row.digit)
        model += "" if row.confidence is None else f" {row.confidence:.1%}"
        at = row.received.strftime("%Y-%m-%d %H:%M")
        cells = (row.id[:8], at, row.state, person, model, row.reviewer, row.source, row.batch)
        table.add_row(*(escape(cell or "") for cell in cells))
    console = project.console()
    console.print(table if found else "nothing is there")
    return 0


async def sheet(store: FeedbackStore, given: argparse.Namespace) -> int:
    """Write a picture of those that wait."""
    import numpy as np
    from PIL import Image

    from digits import files
    from digits.validate.contact_sheet import contact_sheet
    from serving.app.feedback import reviewing
    from serving.app.feedback.states import PENDING

    waiting = await reviewing.counts(store)
    found = await reviewing.rows(store, PENDING, MOST_SHOWN)
    images = np.array([np.frombuffer(row.image, np.uint8).reshape(28, 28) for row in found], np.uint8)
    captions = [
        f"{row.id[:8]}\nperson {row.label}\nmodel {'–' if row.digit is None else row.digit}" for row in found
    ]
    title = f"{len(found)} of {waiting[PENDING]} corrections that wait for review"
    stream = io.BytesIO()
    Image.fromarray(contact_sheet(images.reshape(-1, 28, 28), captions, title)).save(stream, "PNG")
    files.write_bytes(given.file, stream.getvalue())
    print(f"{given.file}: {title}")  # noqa: T201
    return 0


def _plain(row: Row) -> dict[str, Any]:
    """Everything of a correction but its pixels."""
    names = ("id", "digest", "label", "digit", "confidence", "version", "source", "mode", "state", "agreed")
    plain: dict[str, Any] = {name: getattr(row, name) for name in (*names, "reviewer", "batch")}
    plain["received"] = row.received.isoformat()
    return plain | {"reviewed": row.reviewed.isoformat() if row.reviewed else None}
