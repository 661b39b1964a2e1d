"""The system's Chromium, driven by Playwright, for the tests of the page and its benches."""

from __future__ import annotations

import contextlib
import mimetypes
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
STATIC = ROOT / "serving" / "app" / "static"
# As strict as a page can be that computes in WebAssembly.
POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; object-src 'none'; base-uri 'none'"
CAMERA = "--use-fake-device-for-media-stream"  # shows a moving test picture, for machines without a camera

Point = tuple[float, float]


@contextlib.contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """A headless browser that ends with the block. Raises FileNotFoundError where none is installed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        raise FileNotFoundError("no Chromium is installed: `apt-get install chromium`")
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=path, args=flags) as browser,
    ):
        yield browser


@contextlib.contextmanager
def scripted_page(
    browser: Browser, files: Mapping[str, bytes] | None = None, *, policy: str = POLICY
) -> Iterator[Page]:
    """An empty page, under a content policy, whose scripts can import the modules of /static.

    files: content by path, served beside those modules; "/" is the page itself. They come from a server on
    loopback, since Playwright's own answers to requests would slow down what a bench times.
    """
    served = {"/": b"<!doctype html>", **folder("/static", STATIC), **(files or {})}

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            content = served.get(path, b"")
            self.send_response(200 if path in served else 404)
            self.send_header("Content-Type", mimetypes.guess_type(path)[0] or "text/html")
            self.send_header("Content-Security-Policy", policy)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, browser.new_page() as page:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            page.goto(f"http://localhost:{server.server_port}/")
            yield page
        finally:
            server.shutdown()
            thread.join()


def folder(place: str, path: Path) -> dict[str, bytes]:
    """The files of a folder on disk, by their paths below a place on a server."""
    files = (file for file in path.rglob("*") if file.is_file())
    return {f"{place}/{file.relative_to(path).as_posix()}": file.read_bytes() for file in files}


def problems(page: Page) -> list[str]:
    """What a page must not do: uncaught errors, console.error, what its content policy barred.

    A request that failed is none: the page may be meant to live with it.
    """
    errors = [str(error) for error in page.page_errors(filter="all")]
    said = [message.text for message in page.console_messages(filter="all") if message.type == "error"]
    return errors + [text for text in said if not text.startswith("Failed to load resource")]


def draw(page: Page, shape: Sequence[Point]) -> None:
    """Draw with the mouse; points in shares of the drawing area's side."""
    first, *others = on_canvas(page, shape)
    page.mouse.move(*first)
    page.mouse.down()
    for point in others:
        page.mouse.move(*point)
    page.mouse.up()


def on_canvas(page: Page, shape: Sequence[Point]) -> list[Point]:
    """Those points in pixels of the window, the drawing area scrolled into view."""
    canvas = page.locator("#canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None, "the drawing area is not shown"
    return [(box["x"] + across * box["width"], box["y"] + down * box["height"]) for across, down in shape]
