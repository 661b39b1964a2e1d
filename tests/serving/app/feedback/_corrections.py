"""Corrections that differ from each other."""

import base64
import io

import numpy as np
from PIL import Image

from serving.app.feedback.corrections import Correction


def image(number=0):
    """Return 784 bytes of a stroke such as a 1, with `number` encoded in its shades; MNIST's own form."""
    pixels = np.zeros((28, 28), np.uint8)
    pixels[6:23, 13:16] = 255
    shades = np.frombuffer(int(number).to_bytes(12, "big"), np.uint8)
    pixels[12:16, 13:16] = 100 + shades.reshape(4, 3) // 2
    pixels[9:11, 13:16] = 100 + shades[-6:].reshape(2, 3) % 2
    return pixels.tobytes()


def line(number=0, width=120):
    """Return the grey levels [32, w] of a line that is a dark stroke, with `number` encoded in its shades."""
    pixels = np.full((32, width), 220, np.uint8)
    pixels[8:24, 10 : width - 10] = 40
    pixels[30, 4:8] = np.frombuffer(int(number).to_bytes(4, "big"), np.uint8)
    return pixels


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


COMMON = {"confidence": 0.75, "version": 3, "source": "drawing", "mode": "server"}


def given(number=0, label="1", **facts):
    own = {"kind": "digit", "image": image(number), "label": label, "said": "7"}
    return Correction(**{**own, **COMMON, **facts})


def given_line(number=0, label="1.50", **facts):
    own = {"kind": "line", "image": line(number).tobytes(), "label": label, "said": "150"}
    return Correction(**{**own, **COMMON, "source": "photo", **facts})


def tree(**facts):
    """Return a request's JSON."""
    return {"image": base64.b64encode(image()).decode(), "label": 1, "digit": 7, **COMMON, **facts}


def line_tree(**facts):
    """Return a request's JSON about a line."""
    own = {"line": base64.b64encode(png(line())).decode(), "text": "1.50", "said": "150"}
    return {**own, **COMMON, "source": "photo", **facts}
