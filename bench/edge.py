"""Measures the model in its other formats on this machine, and the page in a real Chromium.

    python -m bench.edge                 after `make run`; half a minute

Records are added to .bench/edge.jsonl, and their tables printed: docs/edge.md quotes them.
The browser answers every validation image through serving/app/static/predict.js and is compared with the
exported model, whose signature answers the same pixels. Needs Chromium.
"""

from __future__ import annotations

import argparse
import gzip
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser

from bench.browser import ROOT, STATIC, chromium, folder, scripted_page
from bench.records import FOLDER, Record, Run
from bench.report import report
from digits import dataset, files, wire

BACKENDS = {"wasm": "WebAssembly", "cpu": "JavaScript"}
ASK = """async (backend) => {
  const { load } = await import("/static/predict.js");
  const pixels = new Uint8Array(await (await fetch("/test/pixels")).arrayBuffer());
  const began = performance.now();
  const model = await load("/edge", { backend });
  const loading = performance.now() - began;
  const times = [], probabilities = [], accepted = [];
  for (let at = 0; at < pixels.length; at += 784) {
    const start = performance.now();
    const answer = model.predict(pixels.subarray(at, at + 784));
    times.push(performance.now() - start);
    probabilities.push(Array.from(answer.probabilities));
    accepted.push(answer.accepted);
  }
  times.sort((a, b) => a - b);
  const [median, p95] = [0.5, 0.95].map((share) => times[Math.floor(times.length * share)]);
  return { loading, median, p95, probabilities, accepted };
}"""
READ = """async (count) => {
  const { load } = await import("/static/predict.js");
  const model = await load("/edge"), answers = [];
  let spent = 0;
  for (let i = 0; i < count; i++) {
    const picture = await (await fetch(`/test/pictures/${i}`)).blob();
    const start = performance.now();
    answers.push(Array.from((await model.read(picture)).probabilities));
    spent += performance.now() - start;
  }
  return { answers, each: spent / count };
}"""
READ_LINES = """async (count) => {
  const { load } = await import("/static/lines.js");
  const began = performance.now();
  const reader = await load("/edge"), answers = [];
  const loading = performance.now() - began;
  let spent = 0;
  for (let i = 0; i < count; i++) {
    const picture = await (await fetch(`/test/lines/${i}`)).blob();
    const start = performance.now();
    const { text, confidence, accepted } = await reader.read(picture);
    answers.push({ text, confidence, accepted });
    spent += performance.now() - start;
  }
  return { answers, loading, each: spent / count };
}"""
# of each of digits.export.parity's manners: PNG and JPEG, 60 to 600 pixels, grey and in colour
PICTURES = 100
LINES = 500  # of the validation lines, evenly spaced


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.edge", description=(__doc__ or "").split("\n")[0])
    for name, default in {
        "edge": "models/edge", "exported": "models/exported", "validation": "data/prepared/validation",
        "lines": "models/lines", "report": "reports/edge.json",
    }.items():  # fmt: skip
        parser.add_argument(f"--{name}", type=Path, default=ROOT / default, help=f"default: {default}")
    parser.add_argument("--out", type=Path, default=FOLDER / "edge.jsonl", help="the file of records")
    given = parser.parse_args(argv)
    run = Run(given.out)
    for name, figures in sorted(files.read_json(given.report)["formats"].items()):
        run.keep({"kind": "format", "format": name} | figures)
    known = dataset.load_split(given.validation)
    answers = answer(given.exported, known.images)
    model = folder("/edge", given.edge)
    with chromium() as browser:
        for backend, name in BACKENDS.items():
            with scripted_page(browser, {**model, "/test/pixels": known.images.tobytes()}) as page:
                figures = compare(page.evaluate(ASK, backend), answers, known.labels)
            run.keep({"kind": "browser", "backend": name} | figures)
        figures = pictures(given.exported, browser, model, known.images[:PICTURES])
        run.keep({"kind": "pictures"} | figures)
        run.keep({"kind": "lines"} | lines(given.exported, browser, model, given.lines))
    run.keep({"kind": "page", "gzip_bytes": compressed_size()})
    print(report(run.records()))
    return 0


def answer(exported: Path, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """What the exported model answers."""
    import tensorflow as tf

    model = tf.saved_model.load(str(exported)).signatures[wire.PIXELS]
    batches = [
        model(**{wire.IMAGES: tf.constant(images[at : at + 500])}) for at in range(0, len(images), 500)
    ]
    return {name: np.concatenate([batch[name].numpy() for batch in batches]) for name in batches[0]}


def pictures(exported: Path, browser: Browser, edge: dict[str, bytes], images: NDArray[np.uint8]) -> Record:
    """How the page reads files that show these digits, beside the exported model."""
    import tensorflow as tf

    from digits.export.parity import MANNERS

    contents = [
        render(image, 60 + row * 271 % 541) for render in MANNERS.values() for row, image in enumerate(images)
    ]
    model = tf.saved_model.load(str(exported)).signatures[wire.ENCODED]
    parts = [
        model(**{wire.IMAGE_BYTES: tf.constant(contents[at : at + 50])}) for at in range(0, len(contents), 50)
    ]
    expected = np.concatenate([part[wire.PROBABILITIES].numpy() for part in parts])
    files = {f"/test/pictures/{i}": data for i, data in enumerate(contents)}
    with scripted_page(browser, {**edge, **files}) as page:
        found = page.evaluate(READ, len(contents))
    answers = np.array(found["answers"], np.float32)
    same = float(np.mean(answers.argmax(axis=1) == expected.argmax(axis=1)))
    apart = float(np.abs(answers - expected).max())
    return {"n": len(contents), "agreement": same, "difference": apart, "ms": found["each"]}


def lines(exported: Path, browser: Browser, edge: dict[str, bytes], reader: Path) -> Record:
    """How the page reads PNG files of validation lines, beside the exported model."""
    import tensorflow as tf

    from digits.line_model.candidate import VALIDATION
    from digits.line_model.lines import load_lines

    every = [line for group in load_lines(reader / VALIDATION) for line in group.images]
    shown = [_png(line) for line in every[:: max(1, len(every) // LINES)][:LINES]]
    model = tf.saved_model.load(str(exported)).signatures[wire.LINES_ENCODED]
    parts = [model(**{wire.IMAGE_BYTES: tf.constant(shown[at : at + 50])}) for at in range(0, len(shown), 50)]
    expected = {
        name: np.concatenate([part[name].numpy() for part in parts])
        for name in (wire.TEXT, wire.CONFIDENCE, wire.ACCEPTED)
    }
    files = {f"/test/lines/{i}": data for i, data in enumerate(shown)}
    with scripted_page(browser, {**edge, **files}) as page:
        found = page.evaluate(READ_LINES, len(shown))
    answers = {name: np.array([each[name] for each in found["answers"]]) for name in expected}
    return {
        "n": len(shown),
        "agreement": float(np.mean(answers[wire.TEXT] == expected[wire.TEXT].astype(str))),
        "difference": float(np.abs(answers[wire.CONFIDENCE] - expected[wire.CONFIDENCE]).max()),
        "accepted": float(np.mean(answers[wire.ACCEPTED] == expected[wire.ACCEPTED])),
        "loading_ms": found["loading"],
        "ms": found["each"],
    }


def _png(line: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(line).save(stream, "PNG")
    return stream.getvalue()


def compare(page: dict[str, Any], answers: dict[str, NDArray[Any]], labels: NDArray[np.uint8]) -> Record:
    """What the page answered, beside the exported model."""
    probabilities = np.array(page["probabilities"], np.float32)
    digits = probabilities.argmax(axis=1)
    return {
        "n": len(labels),
        "agreement": float(np.mean(digits == answers[wire.DIGIT])),
        "accuracy": float(np.mean(digits == labels)),
        "difference": float(np.abs(probabilities - answers[wire.PROBABILITIES]).max()),
        "accepted": float(np.mean(np.array(page["accepted"]) == answers[wire.ACCEPTED])),
        **{f"{name}_ms": page[name] for name in ("loading", "median", "p95")},
    }


def compressed_size() -> int:
    """Bytes of the page's modules and the runtime, as a server that compresses sends them."""
    kinds = (".js", ".wasm", ".html", ".css", ".svg", ".webmanifest")
    every = [path for path in STATIC.rglob("*") if path.suffix in kinds]
    return sum(len(gzip.compress(path.read_bytes())) for path in every)


if __name__ == "__main__":
    raise SystemExit(main())
