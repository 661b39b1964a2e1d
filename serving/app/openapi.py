"""What the OpenAPI document says of bodies and answers that are read without a framework's models."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

_KEY = "key"
_NUMBERS = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}}
_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        }
    },
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_PREDICTIONS = {
    "type": "object",
    "properties": {
        "version": {"type": "integer", "nullable": True, "description": "of the model that answered"},
        "predictions": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "digit": {"type": "integer", "minimum": 0, "maximum": 9},
                    "confidence": {"type": "number", "description": "its calibrated probability"},
                    "accepted": {
                        "type": "boolean",
                        "nullable": True,
                        "description": "whether that is enough",
                    },
                    "probabilities": {"type": "array", "items": {"type": "number"}, "minItems": 10},
                },
            },
        },
    },
}


def _error(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _ERROR}}}


ERRORS: dict[int | str, dict[str, Any]] = {
    400: _error("the input is at fault"),
    401: _error("an API key is wanted"),
    413: _error("too many bytes, pixels or images"),
    415: _error("a content type that is not taken"),
    429: _error("too many requests from this address; see Retry-After"),
    503: _error("no model answers, or the gateway is busy; see Retry-After"),
    504: _error("no answer in time"),
}

PREDICT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {
                "schema": {"type": "string", "format": "binary", "description": "n × 784 bytes"}
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["images"],
                    "properties": {
                        "images": {"type": "array", "items": {"type": "array", "items": _NUMBERS}}
                    },
                }
            },
            "image/png": _BINARY,
            "image/jpeg": _BINARY,
        },
    },
    "responses": {
        "200": {
            "description": "one prediction an image",
            "content": {"application/json": {"schema": _PREDICTIONS}},
        }
    },
}

READ: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"image/*": _BINARY}},
    "responses": {
        "200": {
            "description": "lines of fields of digits, each with its box in the upright picture",
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
    },
}

FEEDBACK: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["image", "label", "source", "mode"],
                    "properties": {
                        "image": {"type": "string", "format": "byte", "description": "784 bytes, base64"},
                        "label": {"type": "integer", "minimum": 0, "maximum": 9},
                        "digit": {"type": "integer", "nullable": True},
                        "confidence": {"type": "number", "nullable": True},
                        "version": {"type": "integer", "nullable": True},
                        "source": {"type": "string", "enum": ["drawing", "photo"]},
                        "mode": {"type": "string", "enum": ["server", "browser"]},
                    },
                }
            }
        },
    },
    "responses": {
        "201": {"description": "taken, and safe on disk: a person will look at it"},
        "200": {"description": "the same image with this label is known already"},
    },
}


def describe(app: FastAPI) -> None:
    """Have the app describe itself as it is: summaries from the docstrings, its own errors, the key."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            for path, verbs in made["paths"].items():
                for verb in verbs.values():
                    verb["summary"], _, rest = verb.get("description", "").partition("\n")
                    verb["description"] = rest.strip()
                    verb["responses"].pop("422", None)  # as 400, in the form of all errors
                    if path.startswith("/api/"):
                        verb["security"] = [{_KEY: []}, {}]
            parts = made.setdefault("components", {})
            parts.pop("schemas", None)  # of FastAPI's own errors
            parts["securitySchemes"] = {
                _KEY: {"type": "http", "scheme": "bearer", "description": "where the gateway asks for a key"}
            }
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
