"""A gateway and the model server behind it; a headless Chromium, and a model that a page may compute with."""

import os
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from playwright.sync_api import expect

from bench.browser import CAMERA, chromium
from digits_client import DigitClient
from digits_client.results import Answer
from tests.serving.app._gateway import running
from tests.serving.client import _fake
from tests.serving.client.reading import _sheet

LINES = {"width": 256, "slope": 0.2, "offset": 1.0, "threshold": 0.5}
ANSWER = {"temperature": 1.5, "threshold": 0.2, "normalization": "canonical", "lines": LINES}

expect.set_options(timeout=30_000)  # of a machine that is busy with other tests


@pytest.fixture(scope="module")
def browser():
    """Skips where none is installed; `.ci/run` installs one, so CI skips nothing.

    One a file, not one a session: while it lives, an event loop of Playwright's runs in the tests' thread,
    and other files' tests start loops of their own there.
    """
    try:
        with chromium(CAMERA) as started:
            yield started
    except FileNotFoundError as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def fake():
    """A model server whose model is arithmetic."""
    with _fake.serving() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(fake):
    """A gateway in front of it."""
    with running(server=fake.grpc) as one:
        yield one


@pytest.fixture(scope="module")
def seen():
    """`seen.lines`: those that gateways ask the model about. They are read here, once it has been asked.

    Of a line of fewer digits than `seen.shortest` nothing is read.
    """
    asked = SimpleNamespace(lines=[], shortest=0)

    def predict_lines(client, lines):
        asked.lines += lines
        version = client.predict(np.zeros((28, 28), np.uint8)).version
        nothing = {"text": "", "written": "", "characters": ()}
        read = (
            replace(each, **nothing) if len(each.text) < asked.shortest else each
            for each in _sheet.ask(lines)
        )
        return Answer(tuple(read), version)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DigitClient, "predict_lines", predict_lines)
        yield asked


@pytest.fixture(scope="session")
def network():
    """An untrained model whose answers differ from image to image, and from line to line.

    model; served: the functions of its export; edge: what it has for browsers, content by path.
    """
    import json

    from digits.convert import lines as line_formats
    from digits.convert import tfjs
    from digits.export import lines as line_signatures
    from digits.export import signatures
    from digits.export.admission import LineFit
    from digits.model import architectures
    from tests._release import line_reader

    made = architectures.build("small", seed=4)
    for weight in made.weights:
        if "kernel" in weight.path:
            weight.assign(weight * 3.0)
    logits = lambda images: made(images, training=False)  # noqa: E731
    served = signatures.endpoints(logits, ANSWER["temperature"], ANSWER["threshold"], 10_000_000)
    reader = line_reader()
    line_logits = lambda lines, width: reader([lines, width], training=False)  # noqa: E731
    fit = LineFit(LINES["slope"], LINES["offset"], LINES["threshold"])
    served |= line_signatures.endpoints(line_logits, fit, 10_000_000)
    graph = tfjs.graph_model(architectures.network(made))
    edge = {f"tfjs/{name}": data for name, data in graph.items()}
    edge |= line_formats.make("lines-tfjs", reader, "float32").files
    return SimpleNamespace(
        model=made, served=served, edge={**edge, "answer.json": json.dumps(ANSWER).encode()}
    )
