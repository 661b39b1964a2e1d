"""Corrections that differ from each other."""

import base64

import numpy as np

from serving.app.feedback.corrections import Correction


def image(number=0):
    """Return 784 bytes of a stroke such as a 1, with `number` encoded in its shades; MNIST's own form."""
    pixels = np.zeros((28, 28), np.uint8)
    pixels[6:23, 13:16] = 255
    shades = np.frombuffer(int(number).to_bytes(12, "big"), np.uint8)
    pixels[12:16, 13:16] = 100 + shades.reshape(4, 3) // 2
    pixels[9:11, 13:16] = 100 + shades[-6:].reshape(2, 3) % 2
    return pixels.tobytes()


SAID = {"digit": 7, "confidence": 0.75, "version": 3, "source": "drawing", "mode": "server"}


def given(number=0, label=1, **facts):
    return Correction(**{"image": image(number), "label": label, **SAID, **facts})


def tree(**facts):
    """Return a request's JSON."""
    return {"image": base64.b64encode(image()).decode(), "label": 1, **SAID, **facts}
