"""The options of `digits app`."""

from __future__ import annotations

import argparse
from pathlib import Path

from serving.app.settings import MIB, Limits

KEY, FEEDBACK = "DIGITS_APP_KEY", "DIGITS_FEEDBACK"  # in the environment
SERVER = "localhost:8500"
OFF = "none"


def add(parser: argparse.ArgumentParser) -> None:
    """Give them to a command."""
    own = Limits()
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="where to listen; default: this machine only")
    add("--port", type=int, default=8080, help="default: 8080; 0: any free one")
    add("--allow-host", action="append", default=[], metavar="NAME", help="a name that visitors type for it")
    add(
        "--server",
        metavar="HOST:PORT",
        help=f"the model server; default: {SERVER}, started if need be",
    )
    add("--timeout", type=float, default=5.0, metavar="S", help="seconds that it has; default: 5")
    add("--store", type=Path, metavar="DIR", help="the published versions; default: models/serving")
    add("--feedback", metavar="URL", help=f"sqlite:///FILE, postgresql://…, none; or in ${FEEDBACK}")
    add("--request-log", metavar="DIR", help="default: .digits/requests; none: keep none")
    add("--log-share", type=float, default=1.0, metavar="P", help="of the images that it has; default: 1")
    add("--log-images", action="store_true", help="keep the images themselves too")
    add("--log-size", type=int, default=64, metavar="MIB", help="that it takes at most; default: 64")
    add("--key-file", type=Path, metavar="FILE", help=f"an API key that requests must carry; or ${KEY}")
    add("--rate", type=float, default=own.rate, help="requests a second of one address; 0: no limit")
    add("--max-body", type=int, default=own.body // MIB, metavar="MIB", help="of a request; default: 16")
    add("--max-pixels", type=int, default=own.pixels, metavar="N", help="of a picture; default: 50 million")
    add("--seconds", type=float, default=own.seconds, metavar="S", help="for a request; default: 20")
    add("--readers", type=int, default=own.readers, metavar="N", help="photos read side by side; default: 2")
    add("--drain", type=float, default=0.0, metavar="S", help="seconds from SIGTERM on that it still answers")
    add(
        "--tls-cert",
        type=Path,
        metavar="FILE",
        help="PEM; away from localhost cameras want https",
    )
    add("--tls-key", type=Path, metavar="FILE", help="PEM")
    add("--log-format", choices=("text", "json"), help="default: text on a terminal, else json")
