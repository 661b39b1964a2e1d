"""The errors that a user can meet; each text says what happened, what was expected and what to do.

DigitsError
├── ParamsError      params.yaml has an unknown key, a wrong type or a value out of range
├── DataError        data is missing, damaged or not what it claims to be
├── TrainingError    training can't go on: NaN loss, no validation data
├── GateRefused      the model is not good enough to be exported, or to be promoted
├── StoreError       a model can't be published, promoted or rolled back
└── ServingError     the model server did not answer as the wire contract says
    ├── Unavailable
    ├── DeadlineExceeded
    ├── BadRequest
    └── ModelNotFound
"""


class DigitsError(Exception):
    """Base class: its text is one line for the user, shown without a traceback."""

    exit_code = 1


class ParamsError(DigitsError):
    """params.yaml has an unknown key, a wrong type or a value out of range."""

    exit_code = 2


class DataError(DigitsError):
    """Data is missing, damaged or not what it claims to be."""

    exit_code = 3


class TrainingError(DigitsError):
    """Training can't go on."""

    exit_code = 4


class GateRefused(DigitsError):
    """The model is not good enough to be exported, or to be promoted."""

    exit_code = 5


class StoreError(DigitsError):
    """A model can't be published, promoted or rolled back."""

    exit_code = 6


class ServingError(DigitsError):
    """The model server did not answer as the wire contract says."""

    exit_code = 7


class Unavailable(ServingError):
    """Nothing answers at the address, or it is not ready."""


class DeadlineExceeded(ServingError):
    """The answer did not come within the deadline."""


class BadRequest(ServingError):
    """The server refused the input."""


class ModelNotFound(ServingError):
    """The server has no such model or version."""
