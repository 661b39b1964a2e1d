"""The client against a real server: DIGITS_GRPC=HOST:PORT, DIGITS_REST=HOST:PORT name one that is running."""

import os

import numpy as np
import pytest
from PIL import Image, ImageDraw

from digits_client import BadRequest, ModelNotFound, Prediction
from tests._pictures import encode, png_claiming

answers = {}


def seven(form="PNG", *, ink=True):
    """A photo-like seven, or the paper alone."""
    image = Image.new("L", (80, 80), 255)
    if ink:
        ImageDraw.Draw(image).line([(20, 15), (60, 15), (35, 65)], fill=0, width=7)
    return encode(image, form)


def test_a_running_server_answers_as_the_contract_says_and_equally_on_every_way(connect, kind):
    address = os.environ.get(f"DIGITS_{kind[0].upper()}")
    if not address:
        pytest.skip(f"DIGITS_{kind[0].upper()} names no server")
    client = connect(address, timeout=60, chunk_images=100)
    assert client.health() is True
    images = np.random.default_rng(5).integers(0, 256, (250, 28, 28), np.uint8)
    answer = client.predict(images)
    assert answer.version == max(each.version for each in client.status() if each.state == "AVAILABLE")
    for each in answer:
        assert sum(each.probabilities) == pytest.approx(1, abs=1e-4)
        assert each.confidence == max(each.probabilities) == each.probabilities[each.digit]
    assert len(answer) == 250 and [*answer] == answers.setdefault("all", [*answer])

    good, jpeg = seven(), seven("JPEG")
    pictures = [good, seven(ink=False), good[:-20], jpeg, jpeg[:300], png_claiming(50_000, 50_000)]
    mixed = client.predict_bytes(pictures, on_error="return")
    told = [each.digit if isinstance(each, Prediction) else str(each) for each in mixed]
    assert [told[0], told[3]] == [7, 7]
    assert "picture 1: is blank" in told[1]
    assert "picture 2: was refused (Invalid PNG data" in told[2]
    assert "picture 4: was refused (Invalid JPEG data" in told[4]
    assert "picture 5: is 50000 pixels wide and 50000 high" in told[5]
    with pytest.raises(BadRequest, match="picture 1: is blank"):
        client.predict_bytes(pictures)
    for options in ({"model": "nix"}, {"version": 10**6}):
        with pytest.raises(ModelNotFound):
            connect(address, **options).predict(images[0])
