"""Exported models without a model: tiny files with the provenance of a real export."""

import hashlib
import json

DATA_FILE = "variables/variables.data-00000-of-00001"
TEST_IMAGES = "digest-of-the-test-images"


def export(
    directory, weights="one", *, accuracy=0.99, sample=False, passed=True, test_images=TEST_IMAGES, lines=None
):
    """Write a tiny export, as the export stage does; `weights` determines its content.

    lines: the digest of the lines that it was validated on; None: it reads none.
    """
    content = {"saved_model.pb": "graph", DATA_FILE: weights, "assets.extra/tf_serving_warmup_requests": "w"}
    for name, text in content.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    provenance = {
        "files": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in content.items()},
        "weights_sha256": hashlib.sha256(weights.encode()).hexdigest(),
        "metrics": {"accuracy": accuracy},
        "data": {"splits": {"test": {"images_sha256": test_images}}},
        "dataset": "mnist",
        "sample": sample,
        "verdict": {"passed": passed},
    } | ({"lines": {"validation_sha256": lines}} if lines else {})
    (directory / "assets.extra/provenance.json").write_text(json.dumps(provenance))
    return directory


def make_formats(directory, exported, kernel="one"):
    """Write tiny formats of an export, as the convert stage does; `kernel` determines their content."""
    content = {
        "answer.json": "{}",
        "int8.tflite": kernel,
        "tfjs/model.json": "{}",
        "tfjs/weights.bin": kernel,
    }
    for name, text in content.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    made_from = json.loads((exported / "assets.extra/provenance.json").read_text())["files"]
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in content.items()}
    (directory / "provenance.json").write_text(json.dumps({"exported": made_from, "files": digests}))
    return directory


def change(path, edit):
    """Edit a file of JSON."""
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def tree(root):
    """Return the content of every file below a directory by its relative path."""
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}
