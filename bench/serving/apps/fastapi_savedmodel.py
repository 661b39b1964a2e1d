"""A careful beginner's server: FastAPI on one uvicorn worker, the SavedModel called in a plain function.

python -m bench.serving.apps.fastapi_savedmodel PORT models/exported
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import tensorflow as tf
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Body(BaseModel):
    """A request in TensorFlow Serving's format."""

    instances: list[list[list[int]]]


def app(exported: str) -> FastAPI:
    """Return the application, with its model loaded and warmed up."""
    loaded = tf.saved_model.load(exported)
    predict = loaded.signatures["serving_default"]
    predict(images=tf.zeros((1, 28, 28), tf.uint8))
    server = FastAPI()
    server.state.model = loaded  # the signature alone does not hold the variables

    @server.post("/v1/models/digits:predict")
    def answer(body: Body) -> dict[str, Any]:
        outputs = predict(images=tf.constant(np.array(body.instances, dtype=np.uint8)))
        columns = {name: value.numpy().tolist() for name, value in outputs.items()}
        return {
            "predictions": [
                dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
            ]
        }

    return server


if __name__ == "__main__":
    uvicorn.run(
        app(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False
    )
