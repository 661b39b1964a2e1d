"""Shell: one run of the serving bench: starts everything, keeps the raw records, writes the document."""

from __future__ import annotations

import argparse
import base64
import contextlib
import datetime
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Record
from bench.machine import commit, machine
from bench.serving import figures, lifecycle, rollouts
from bench.serving.cases import (
    BATCHES,
    CLIENTS,
    GRPC,
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
from bench.serving.document import document
from digits import files
from digits.errors import DataError, DigitsError

MADE_UP = (*NOOP_GRPC, *NOOP_REST)  # their answers aren't the model's
WARM = 0.4  # seconds before the window of a case
BLOCK, QUIET = 20, 8.0  # rollouts of a block, seconds of its load without
STARTS, REFUSALS = 3, 5
QUICK = {"rounds": 1, "seconds": 0.3, "rollouts": 2, "reloads": 4}


class Bench:
    """One run: its raw file, its scratch folder, its clock."""

    def __init__(self, given: argparse.Namespace, root: Path) -> None:
        self.given, self.root = given, root
        if given.quick:
            vars(given).update(QUICK)
        self.raw: Path = given.raw.resolve()
        self.scratch = self.raw.parent / "serving"
        self.requests = self.scratch / "requests"
        self.contest = Contest(root, given.models.resolve(), self.scratch)
        self.began = time.monotonic()
        self.records: list[Record] = []

    def run(self) -> None:
        """Everything, then the document. Raises DigitsError when a server answers wrongly, or not at all."""
        exported = self.contest.models / "exported"
        if not (exported / "saved_model.pb").is_file():
            raise DataError(f"{exported} holds no model: `make run` exports one")
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.requests.mkdir(parents=True)
        self.contest.prepare()
        self._open()
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
            self._rollouts({server.name: server for server in servers})
        self._lifecycle(names)
        self._write()

    def _worker(self, stack: contextlib.ExitStack, module: str, *arguments: str) -> Worker:
        worker = Worker(module, arguments, self.root, self.scratch / f"{module.rpartition('.')[2]}.log")
        stack.callback(worker.stop)
        return worker

    def _open(self) -> None:
        name, dirty = commit(self.root)
        if dirty:
            self._say("the working tree has changes that are not committed; the document will say so")
        files.write_text(self.raw, "")
        self._keep(
            {
                "kind": "header",
                "commit": name,
                "dirty": dirty,
                "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
                "command": " ".join(["python -m bench.serving", *self._options()]),
                "quick": self.given.quick,
                "rounds": self.given.rounds,
                "machine": machine(),
            }
        )

    def _options(self) -> list[str]:
        """The options that change what is measured; no paths."""
        given = self.given
        if given.quick:
            return ["--quick"]
        named = {"rounds": 3, "seconds": 1.0, "rollouts": 100, "every": 3.0, "reloads": 200}
        found = [
            f"--{name} {getattr(given, name):g}"
            for name, usual in named.items()
            if getattr(given, name) != usual
        ]
        return [*([f"--only {','.join(given.only)}"] if given.only else []), *found]

    def _names(self) -> list[str]:
        """The servers that take part; the others are recorded with the reason."""
        found = []
        for name in self.given.only or SERVERS:
            reason = unavailable(name, self.contest.models / "candidate")
            if reason is None:
                found.append(name)
                continue
            self._say(f"left out: {name}: {reason}")
            self._keep({"kind": "left-out", "server": name, "reason": reason})
        if not found:
            raise DigitsError("no server is left to measure: the lines above say why")
        return found

    def _cases(self, servers: dict[str, Server], expected: dict[str, int]) -> None:
        counts = (1, 8) if self.given.quick else CLIENTS
        plan = cases(servers, counts)
        for turn in range(self.given.rounds):
            self._say(f"round {turn + 1} of {self.given.rounds}: {len(plan)} cases")
            for batch in BATCHES:
                job = {"do": "time", "batch": batch, "seconds": self.given.seconds}
                self._keep({"kind": "in-process", "round": turn, "batch": batch, **self.offline.ask(job)})
            for case in plan if turn % 2 == 0 else reversed(plan):
                self._case(servers[case.server], case, turn, expected)

    def _case(self, server: Server, case: Case, turn: int, expected: dict[str, int]) -> None:
        job = {
            "loop": "closed",
            "interface": case.interface,
            "target": server.target(case.interface),
            "method": GRPC_METHOD if case.interface == GRPC else REST_PATH,
            "payload": str(self.requests / f"{case.payload}-{case.batch}.{case.interface}"),
            "clients": case.clients,
            "batch": case.batch,
            "seconds": self.given.seconds,
            "warm": self.given.seconds / 4 if self.given.quick else WARM,
        }
        before = cpu_seconds(server.process.pid)
        result = self.load.ask(job)
        after = cpu_seconds(server.process.pid)
        answer = result.pop("answer")
        taken = None if before is None or after is None else after - before
        each = None if taken is None or not result["total"] else 1000 * taken / result["total"]
        if not result["total"]:
            raise DigitsError(
                f"{case.title}: no answer at all: {result['errors']}; see {self.contest.log(case.server)}"
            )
        if turn == 0 and case.server not in MADE_UP:
            self._check(case, answer, expected[case.payload])
        described = {
            key: getattr(case, key) for key in ("server", "interface", "payload", "batch", "clients")
        }
        self._keep({"kind": "case", "round": turn, **described, **result, "server_cpu_ms": each})
        self._say(f"  {case.title}: {result['requests_per_s']:,.0f}/s, {result['failed']} failed")

    def _check(self, case: Case, answer: str, expected: int) -> None:
        """The first image's digit has to be what the model says without a server."""
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
        saturation = figures.value(self.records, Case(OURS, GRPC, PIXELS, 1, 64), "requests_per_s")
        if self.given.quick:
            saturation = figures.value(self.records, Case(OURS, GRPC, PIXELS, 1, 8), "requests_per_s")
        if OURS not in servers or not self.given.rollouts or saturation is None:
            return
        found = rollouts.measure(
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
        self._keep(*found)

    def _lifecycle(self, names: Sequence[str]) -> None:
        """With every other server gone: what is measured here is not to share the machine with idle ones."""
        if OURS not in names:
            return
        self.contest.prepare()
        self._keep(lifecycle.ready(self.contest, 1 if self.given.quick else STARTS, self._say))
        self._keep(lifecycle.bad_config(self.contest, 2 if self.given.quick else REFUSALS, self._say))
        if self.given.reloads:
            with contextlib.ExitStack() as stack:
                load = self._worker(stack, "bench.serving.load")
                self._keep(
                    lifecycle.reloads(self.contest, load, self.requests, self.given.reloads, self._say)
                )

    def _keep(self, *records: Record) -> None:
        with self.raw.open("a", encoding="utf-8") as stream:
            for record in records:
                stream.write(json.dumps(record) + "\n")
        self.records += records

    def _write(self) -> None:
        complete = not self.given.quick and not self.given.only
        usual = (
            self.root / "docs" / "results-serving.md" if complete else self.raw.parent / "results-serving.md"
        )
        out: Path = self.given.out or usual
        files.write_text(out, document(self.records))
        self._say(f"written: {out}")

    def _say(self, line: str) -> None:
        elapsed = int(time.monotonic() - self.began)
        print(f"[{elapsed // 60:3d}:{elapsed % 60:02d}] {line}", flush=True)
