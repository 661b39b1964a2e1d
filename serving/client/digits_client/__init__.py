"""A client for servers of the digits model: which digits pictures show, over gRPC or REST, without
TensorFlow.

    with DigitClient("localhost:8500") as client:
        for prediction in client.predict_files(["seven.png"]):
            print(prediction.digit, prediction.confidence)

Importing this loads neither gRPC nor an HTTP library; making a client loads the one that it needs.
"""

from digits_client.aio import AsyncDigitClient
from digits_client.client import DigitClient
from digits_client.errors import (
    BadRequest,
    DeadlineExceeded,
    ModelNotFound,
    ServingError,
    Unavailable,
)
from digits_client.results import Answer, Character, LinePrediction, Prediction, VersionStatus

__all__ = [
    "Answer",
    "AsyncDigitClient",
    "BadRequest",
    "Character",
    "DeadlineExceeded",
    "DigitClient",
    "LinePrediction",
    "ModelNotFound",
    "Prediction",
    "ServingError",
    "Unavailable",
    "VersionStatus",
]
