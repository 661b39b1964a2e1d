"""What every server of the exported model must answer to the client; also for a run against a real one."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from digits_client import BadRequest, ModelNotFound, Prediction


def drawing(form: str = "PNG", *, ink: bool = True) -> bytes:
    """Return a photo-like seven."""
    image = Image.new("L", (80, 80), 255)
    if ink:
        ImageDraw.Draw(image).line([(20, 15), (60, 15), (35, 65)], fill=0, width=7)
    stream = io.BytesIO()
    image.save(stream, form)
    return stream.getvalue()


HUGE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xc3\x50\0\0\xc3\x50\x08\0\0\0\0"  # claims 50,000 × 50,000 pixels


def check(address: str, connect: Callable[..., Any]) -> list[Prediction]:
    """Raise AssertionError where a server falls short; `connect` makes a client of it, as in conftest.

    Returns predictions, which those over another transport must equal.
    """
    client = connect(address, timeout=60, chunk_images=100)
    assert client.health() is True
    versions = [each.version for each in client.status() if each.state == "AVAILABLE"]

    images = np.random.default_rng(5).integers(0, 256, (250, 28, 28), np.uint8)
    answer = client.predict(images)
    assert len(answer) == 250
    assert answer.version == max(versions)
    for each in answer:
        assert sum(each.probabilities) == pytest.approx(1, abs=1e-4)
        assert each.confidence == max(each.probabilities) == each.probabilities[each.digit]

    good, jpeg = drawing(), drawing("JPEG")
    assert [each.digit for each in client.predict_bytes([good, jpeg])] == [7, 7]
    mixed = client.predict_bytes(
        [good, drawing(ink=False), good[:-20], jpeg, jpeg[:300], HUGE], on_error="return"
    )
    told = [each.digit if isinstance(each, Prediction) else str(each) for each in mixed]
    assert [told[0], told[3]] == [7, 7]
    assert "picture 1: is blank" in told[1]
    assert "picture 2: was refused (Invalid PNG data" in told[2]
    assert "picture 4: was refused (Invalid JPEG data" in told[4]
    assert "picture 5: is 50000 pixels wide and 50000 high" in told[5]
    with pytest.raises(BadRequest, match="picture 1: is blank"):
        client.predict_bytes([good, drawing(ink=False)])

    for options in ({"model": "nix"}, {"version": 10**6}):
        with pytest.raises(ModelNotFound):
            connect(address, **options).predict(images[0])
    return [*answer]
