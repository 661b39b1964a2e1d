"""Modules of the page at work: in Node, and in a real headless Chromium that posts what it found."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

STATIC = ROOT / "serving" / "app" / "static"
# As strict as a page can be that computes in WebAssembly.
POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; object-src 'none'; base-uri 'none'"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--no-first-run", "--disable-dev-shm-usage",
)  # fmt: skip
TYPES = {"": "text/html", ".js": "text/javascript", ".json": "application/json", ".wasm": "application/wasm"}
PAGE = "<!doctype html><meta charset=utf-8><script type=module src=/test/run.js></script>"
RUN = """
import { check } from "./check.js";
let result;
try {
  result = { value: await check() };
} catch (error) {
  result = { error: `${error.name}: ${error.message}`, stack: error.stack };
}
await fetch("/result", { method: "POST", body: JSON.stringify(result) });
"""


def chromium() -> str:
    """The browser; `.ci/run` installs it."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        raise FileNotFoundError("no Chromium is installed: `apt-get install chromium`")
    return path


def in_chromium(
    script: str, files: Mapping[str, Path | bytes], *, policy: str = POLICY, seconds: float = 120
) -> Any:
    """What `check`, exported by a module at /test/check.js, answers in a page with a strict policy.

    files: path on the server → a file or folder on disk, or content. The page's own modules: below /static.
    """
    own = {"/": PAGE.encode(), "/test/run.js": RUN.encode(), "/test/check.js": script.encode()}
    with (
        _served({"/static": STATIC, **files, **own}, policy) as (port, posted, results),
        tempfile.TemporaryDirectory(prefix="digits-chromium-", ignore_cleanup_errors=True) as profile,
    ):
        command = [chromium(), *FLAGS, f"--user-data-dir={profile}", f"http://127.0.0.1:{port}/"]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            if not posted.wait(seconds):
                raise TimeoutError(f"the page said nothing within {seconds:g} s")
        finally:
            browser.terminate()
            browser.wait(20)
    (result,) = results
    if "error" in result:
        raise RuntimeError(f"{result['error']}\n{result['stack']}")
    return result["value"]


@contextlib.contextmanager
def _served(
    files: Mapping[str, Path | bytes], policy: str
) -> Iterator[tuple[int, threading.Event, list[Any]]]:
    posted, results = threading.Event(), []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            content = _content(files, self.path.partition("?")[0])
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Type", TYPES.get(Path(self.path).suffix, "application/octet-stream"))
            self.send_header("Content-Security-Policy", policy)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def do_POST(self) -> None:
            results.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()
            posted.set()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1], posted, results
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _content(files: Mapping[str, Path | bytes], path: str) -> bytes | None:
    for place, content in files.items():
        if isinstance(content, bytes) or content.is_file():
            if path == place:
                return content if isinstance(content, bytes) else content.read_bytes()
        elif path.startswith(f"{place}/") and (file := content / path[len(place) + 1 :]).is_file():
            return file.read_bytes()
    return None


def in_node(script: str, folder: Path, seconds: float = 120) -> Any:
    """What `check` of a script answers in Node, in a folder with the page's modules in `static`."""
    if (node := shutil.which("node")) is None:
        raise FileNotFoundError("no Node is installed: `apt-get install nodejs`")
    (folder / "static").symlink_to(STATIC)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "check.js").write_text(script)
    runner = 'import { check } from "./check.js"; console.log(JSON.stringify(await check()));'
    (folder / "run.js").write_text(runner)
    command = [node, "--preserve-symlinks", "run.js"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])
