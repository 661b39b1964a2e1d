"""Runs the serving bench: starts servers and load, and keeps the records."""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.records import Run
from bench.serving import lifecycle, rollouts
from bench.serving.cases import (
    BATCHES,
    CLIENTS,
    GRPC,
    LOGGING,
    NOOP_GRPC,
    NOOP_REST,
    OURS,
    PIXELS,
    SERVERS,
    Case,
    cases,
)
from bench.serving.children import Worker, cpu_seconds
from bench.serving.contestants import GRPC_METHOD, REST_PATH, Contest, Server, unavailable
from bench.serving.report import report, value
from digits.runtime.errors import DataError, DigitsError

NO_OPS = (*NOOP_GRPC, *NOOP_REST)  # their answers aren't the model's
WARM = 0.4  # seconds before the window of a case
BLOCK, QUIET = 20, 8.0  # rollouts of a block, seconds of its load without
TURNS, TURN = 21, 1.0  # turns of the servers with and without a log, seconds of each
STARTS, REFUSALS = 3, 5
QUICK = {"rounds": 1, "seconds": 0.3, "rollouts": 2, "reloads": 4}


class Bench:
    """One run: its records, its scratch folder, its clock."""

    def __init__(self, given: argparse.Namespace, root: Path) -> None:
        self.given, self.root = given, root
        if given.quick:
            vars(given).update(QUICK)
        out: Path = given.out.resolve()
        self.records = Run(out, quick=given.quick)
        self.scratch = out.parent / "serving"
        self.requests = self.scratch / "requests"
        self.contest = Contest(root, given.models.resolve(), self.scratch)
        self.began = time.monotonic()

    def run(self) -> None:
        """Measure everything and print the tables.

        Raises DigitsError when a server answers wrongly, or not at all.
        """
        exported = self.contest.models / "exported"
        if not (exported / "saved_model.pb").is_file():
            raise DataError(f"{exported} holds no model: `make run` exports one")
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.requests.mkdir(parents=True)
        self.contest.prepare()
        names = self._names()
        with contextlib.ExitStack() as stack:
            self.load = self._worker(stack, "bench.serving.load")
            arguments = (str(exported), str(self.requests), str(self.contest.store))
            self.offline = self._worker(stack, "bench.serving.offline", *arguments)
            self._say(f"starting {', '.join(names)}")
            expected = self.offline.receive()
            servers = self.contest.launch(names)
            for server in servers:
                stack.callback(server.stop)
            self._cases({server.name: server for server in servers}, expected)
            self._logging({server.name: server for server in servers})
            self._rollouts({server.name: server for server in servers})
        if self.given.rounds:
            self._lifecycle(names)
        print("\n" + report(self.records.records()))

    def _worker(self, stack: contextlib.ExitStack, module: str, *arguments: str) -> Worker:
        worker = Worker(module, arguments, self.root, self.scratch / f"{module.rpartition('.')[2]}.log")
        stack.callback(worker.stop)
        return worker

    def _names(self) -> list[str]:
        """Return the servers that take part; the others are recorded with the reason."""
        names = []
        for name in self.given.only or SERVERS:
            reason = unavailable(name, self.contest.models / "candidate")
            if reason is None:
                names.append(name)
                continue
            self._say(f"left out: {name}: {reason}")
            self.records.keep({"kind": "left-out", "server": name, "reason": reason})
        if not names:
            raise DigitsError("no server is left to measure: see the reasons above")
        return names

    def _cases(self, servers: dict[str, Server], expected: dict[str, int]) -> None:
        counts = (1, 8) if self.given.quick else CLIENTS
        plan = cases(servers, counts)
        for turn in range(self.given.rounds):
            self._say(f"round {turn + 1} of {self.given.rounds}: {len(plan)} cases")
            for batch in BATCHES:
                job = {"do": "time", "batch": batch, "seconds": self.given.seconds}
                self.records.keep(
                    {"kind": "in-process", "round": turn, "batch": batch, **self.offline.ask(job)}
                )
            for case in plan if turn % 2 == 0 else reversed(plan):
                self._case(servers[case.server], case, turn, expected)

    def _ask(self, server: Server, case: Case, seconds: float) -> tuple[dict[str, Any], float | None]:
        """Return the load's result, and the CPU milliseconds that the server took for each request."""
        job = {
            "loop": "closed",
            "interface": case.interface,
            "target": server.target(case.interface),
            "method": GRPC_METHOD if case.interface == GRPC else REST_PATH,
            "payload": str(self.requests / f"{case.payload}-{case.batch}.{case.interface}"),
            "clients": case.clients,
            "batch": case.batch,
            "seconds": seconds,
            "warm": seconds / 4 if self.given.quick else WARM,
        }
        before = cpu_seconds(server.process.pid)
        result = self.load.ask(job)
        after = cpu_seconds(server.process.pid)
        taken = None if before is None or after is None else after - before
        each = None if taken is None or not result["total"] else 1000 * taken / result["total"]
        if not result["total"]:
            raise DigitsError(
                f"{case.title}: no answer at all: {result['errors']}; see {self.contest.log(case.server)}"
            )
        return result, each

    def _case(self, server: Server, case: Case, turn: int, expected: dict[str, int]) -> None:
        result, each = self._ask(server, case, self.given.seconds)
        answer = result.pop("answer")
        if turn == 0 and case.server not in NO_OPS:
            self._check(case, answer, expected[case.payload])
        described = {
            key: getattr(case, key) for key in ("server", "interface", "payload", "batch", "clients")
        }
        self.records.keep({"kind": "case", "round": turn, **described, **result, "server_cpu_ms": each})
        self._say(f"  {case.title}: {result['requests_per_s']:,.0f}/s, {result['failed']} failed")

    def _logging(self, servers: dict[str, Server]) -> None:
        """Measure what a logged request costs, in short turns that meet the same machine."""
        if not {OURS, LOGGING} <= servers.keys():
            return
        turns: list[dict[str, float | None]] = []
        for turn in range(2 if self.given.quick else TURNS):
            self._say(f"logging: turn {turn + 1}")
            cost = {}
            for name in (OURS, LOGGING) if turn % 2 == 0 else (LOGGING, OURS):
                seconds = self.given.seconds if self.given.quick else TURN
                _, cost[name] = self._ask(servers[name], Case(name, GRPC, PIXELS, 1, 8), seconds)
            turns.append(cost)
        self.records.keep({"kind": "logging", "server_cpu_ms": turns})

    def _check(self, case: Case, answer: str, expected: int) -> None:
        """Check that the first image's digit is what the model says without a server."""
        if case.interface == GRPC:
            digits = self.offline.ask({"do": "read", "answer": answer})["digits"]
        else:
            digits = [row["digit"] for row in json.loads(base64.b64decode(answer))["predictions"]]
        if len(digits) != case.batch or digits[0] != expected:
            raise DigitsError(
                f"{case.title}: answered {len(digits)} digits that begin with {digits[:1]}, expected "
                f"{case.batch} that begin with {expected}: its figures would mean nothing"
            )

    def _rollouts(self, servers: dict[str, Server]) -> None:
        most = Case(OURS, GRPC, PIXELS, 1, 8 if self.given.quick else 64)
        saturation = value(self.records.records(), most, "requests_per_s")
        if OURS not in servers or not self.given.rollouts or saturation is None:
            return
        blocks = rollouts.measure(
            servers[OURS],
            self.load,
            self.contest.store,
            self.requests / f"{PIXELS}-1.{GRPC}",
            rate=saturation / 2,
            every=self.given.every,
            total=self.given.rollouts,
            block=BLOCK,
            quiet=2.0 if self.given.quick else QUIET,
            say=self._say,
        )
        self.records.keep(*blocks)

    def _lifecycle(self, names: Sequence[str]) -> None:
        """Measure the lifecycle after every other server has ended: idle ones would share the machine."""
        if OURS not in names:
            return
        self.contest.prepare()
        self.records.keep(lifecycle.ready(self.contest, 1 if self.given.quick else STARTS, self._say))
        self.records.keep(lifecycle.bad_config(self.contest, 2 if self.given.quick else REFUSALS, self._say))
        if self.given.reloads:
            with contextlib.ExitStack() as stack:
                load = self._worker(stack, "bench.serving.load")
                self.records.keep(
                    lifecycle.reloads(self.contest, load, self.requests, self.given.reloads, self._say)
                )

    def _say(self, line: str) -> None:
        elapsed = int(time.monotonic() - self.began)
        print(f"[{elapsed // 60:3d}:{elapsed % 60:02d}] {line}", flush=True)
