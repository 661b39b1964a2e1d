"""The server of most tutorials: Flask's own, threaded, and Keras's `model.predict` for each request.

python -m bench.serving.apps.flask_predict PORT models/candidate
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from digits.model.candidate import load_candidate


def app(candidate: Path) -> Any:
    """Return the application, with its model loaded and warmed up."""
    from flask import Flask, jsonify, request  # type: ignore[import-not-found,unused-ignore]

    model = load_candidate(candidate)
    model.predict(np.zeros((1, 28, 28), np.uint8), verbose=0)
    server = Flask("tutorial")

    def predict() -> Any:
        images = np.array(request.get_json()["instances"], dtype=np.uint8)
        logits = model.predict(images, verbose=0)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares = powers / powers.sum(axis=1, keepdims=True)
        return jsonify(
            predictions=[
                {"probabilities": row.tolist(), "digit": int(row.argmax()), "confidence": float(row.max())}
                for row in shares
            ]
        )

    server.add_url_rule("/v1/models/digits:predict", view_func=predict, methods=["POST"])
    return server


if __name__ == "__main__":
    app(Path(sys.argv[2])).run(host="127.0.0.1", port=int(sys.argv[1]), threaded=True)
