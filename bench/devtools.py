"""A real headless Chromium, driven as a person drives it: over its DevTools protocol.

    with Chromium() as browser:
        page = browser.page("http://127.0.0.1:8080/")
        page.wait_for("document.readyState === 'complete'")
        page.drag([(100, 100), (100, 200)])
        page.screenshot(Path("page.png"))
        assert page.problems == []

`problems` collects what a page must not do: uncaught errors, console.error, what its content policy barred.
"""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from websockets.sync.client import ClientConnection, connect

from bench.browser import FLAGS, chromium

Point = tuple[float, float]
# A camera that shows a moving test picture, for machines without one.
CAMERA = ("--use-fake-device-for-media-stream",)
KEYS = {
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    " ": 32,
    "Delete": 46,
    "Escape": 27,
}
KEYS |= {"Tab": 9, "Enter": 13}


class Failed(RuntimeError):
    """The browser or the page answered with an error."""


class Chromium:
    """A browser of its own, with an empty profile, gone when the block ends."""

    def __init__(self, *flags: str, seconds: float = 60) -> None:
        self.flags, self.seconds = flags, seconds
        self._last = 0
        self._pages: dict[str, Page] = {}

    def __enter__(self) -> Chromium:
        """Start it. Raises FileNotFoundError without a Chromium, TimeoutError when it does not come up."""
        with contextlib.ExitStack() as stack:
            folder = tempfile.TemporaryDirectory(prefix="digits-chromium-", ignore_cleanup_errors=True)
            profile = Path(stack.enter_context(folder))
            command = [chromium(), *FLAGS, "--hide-scrollbars", "--remote-debugging-port=0", *self.flags]
            command += [f"--user-data-dir={profile}", "about:blank"]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(_ended, process)
            address = self._address(profile / "DevToolsActivePort", process)
            self._socket: ClientConnection = connect(address, max_size=None)
            stack.enter_context(self._socket)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _address(self, port_file: Path, process: subprocess.Popen[bytes]) -> str:
        until = time.monotonic() + self.seconds
        while time.monotonic() < until and process.poll() is None:
            if port_file.exists() and len(lines := port_file.read_text().splitlines()) == 2:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            time.sleep(0.05)
        raise TimeoutError(f"Chromium opened no DevTools port within {self.seconds:g} s")

    def page(self, url: str, *, size: tuple[int, int] = (1200, 900)) -> Page:
        """A new tab on an address, with storage of its own: nothing of other tabs is remembered there."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        blank = {"url": "about:blank", "browserContextId": context}
        target = self.call("Target.createTarget", blank)["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = self._pages[session] = Page(self, session, context)
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            page.call(f"{domain}.enable")
        page.resize(*size)
        page.open(url)
        return page

    def call(self, method: str, params: Mapping[str, Any] | None = None, session: str | None = None) -> Any:
        """Send a command and wait for its result; events that come meanwhile are noted. Raises Failed."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": dict(params or {})}
        if session is not None:
            message["sessionId"] = session
        self._socket.send(json.dumps(message))
        while True:
            heard = json.loads(self._socket.recv(timeout=self.seconds))
            if heard.get("id") == self._last:
                if "error" in heard:
                    raise Failed(f"{method}: {heard['error']['message']}")
                return heard["result"]
            if (page := self._pages.get(heard.get("sessionId", ""))) is not None:
                page.note(heard.get("method", ""), heard.get("params", {}))


class Page:
    """A tab."""

    def __init__(self, browser: Chromium, session: str, context: str) -> None:
        self._browser, self._session, self._context = browser, session, context
        self.problems: list[str] = []  # uncaught errors, console.error, barred by the content policy
        self.unreached: list[str] = []  # requests that failed

    def call(self, method: str, **params: Any) -> Any:
        """A command of the protocol to this tab."""
        return self._browser.call(method, params, self._session)

    def close(self) -> None:
        """The tab goes, and all that it stored."""
        self._browser.call("Target.disposeBrowserContext", {"browserContextId": self._context})

    def permit(self, name: str, setting: str, origin: str) -> None:
        """Answer the question for a permission, as "camera", with "granted" or "denied"."""
        given = {"permission": {"name": name}, "setting": setting, "origin": origin}
        self._browser.call("Browser.setPermission", {**given, "browserContextId": self._context})

    def note(self, method: str, params: Mapping[str, Any]) -> None:
        """Keep what an event tells, if it is a problem."""
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.problems.append(" ".join(str(arg.get("value", arg)) for arg in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            entry = params["entry"]
            kept = self.unreached if entry["source"] == "network" else self.problems
            kept.append(f"{entry['text']} {entry.get('url', '')}")

    def open(self, url: str) -> None:
        """Go to an address."""
        self.call("Page.navigate", url=url)

    def reload(self) -> None:
        """As a person's; back when the new page has replaced the old one."""
        self.evaluate("globalThis.replaced = false")
        self.call("Page.reload")
        self.wait_for("globalThis.replaced === undefined && document.readyState === 'complete'")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, awaited if it is a promise. Raises Failed when it throws."""
        given = {"expression": expression, "awaitPromise": True, "returnByValue": True, "userGesture": True}
        reply = self.call("Runtime.evaluate", **given)
        if (details := reply.get("exceptionDetails")) is not None:
            raise Failed(details.get("exception", {}).get("description", details["text"]))
        return reply["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 30) -> Any:
        """Its value, once that is true. Raises TimeoutError, which tells the last one."""
        until = time.monotonic() + seconds
        while True:
            try:
                value: Any = self.evaluate(expression)
            except Failed as error:  # the page is on its way to another
                value = error
            if value and not isinstance(value, Failed):
                return value
            if time.monotonic() > until:
                raise TimeoutError(f"within {seconds:g} s never true: {expression} (last: {value})")
            time.sleep(0.03)

    def text(self, selector: str) -> str:
        """What a person reads there."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    def middle(self, selector: str) -> Point:
        """The middle of an element, scrolled into view: x, y in pixels of the window."""
        x, y, width, height = self.box(selector)
        return x + width / 2, y + height / 2

    def box(self, selector: str) -> tuple[float, float, float, float]:
        """Left, top, width, height of an element, scrolled into view, in pixels of the window."""
        box = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'nearest'});"
            " const {x, y, width, height} = e.getBoundingClientRect(); return [x, y, width, height] })()"
        )
        x, y, width, height = (float(each) for each in box)
        return x, y, width, height

    def click(self, selector: str) -> None:
        """With the mouse, where the element is."""
        x, y = self.middle(selector)
        self.drag([(x, y)])

    def drag(self, points: Sequence[Point]) -> None:
        """The mouse pressed at the first point, moved along the others and released at the last."""
        self._mouse("mouseMoved", points[0], 0)
        self._mouse("mousePressed", points[0], 1)
        for point in points[1:]:
            self._mouse("mouseMoved", point, 1)
        self._mouse("mouseReleased", points[-1], 0)

    def _mouse(self, kind: str, point: Point, buttons: int) -> None:
        given = {"type": kind, "x": point[0], "y": point[1], "buttons": buttons, "clickCount": 1}
        button = "none" if kind == "mouseMoved" and not buttons else "left"
        self.call("Input.dispatchMouseEvent", button=button, **given)

    def touch(self, points: Sequence[Point]) -> None:
        """A finger put down at the first point, moved along the others and lifted."""
        for kind, (x, y) in zip(["touchStart", *["touchMove"] * (len(points) - 1)], points, strict=True):
            self.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y}])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def press(self, *keys: str, control: bool = False) -> None:
        """Keys, one after the other; each held for no time."""
        for key in keys:
            code = KEYS.get(key, ord(key[0].upper()))
            given = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 2 if control else 0}
            text = {" ": " ", "Enter": "\r"}.get(key, key if len(key) == 1 and not control else "")
            self.call("Input.dispatchKeyEvent", type="keyDown", **given, **({"text": text} if text else {}))
            self.call("Input.dispatchKeyEvent", type="keyUp", **given)

    def write(self, text: str) -> None:
        """Text into what has the focus."""
        self.call("Input.insertText", text=text)

    def upload(self, selector: str, *files: Path) -> None:
        """Choose files in an input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def resize(self, width: int, height: int, *, mobile: bool = False, scale: float = 1) -> None:
        """Another window, or another phone."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Emulation.setTouchEmulationEnabled", enabled=mobile)

    def prefer(self, **features: str) -> None:
        """Media features, as prefers_color_scheme="dark"."""
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", features=named)

    def offline(self, cut: bool) -> None:
        """Cut this tab off from the network, or join it again; its service worker stays online."""
        conditions = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.call("Network.emulateNetworkConditions", offline=cut, **conditions)

    def screenshot(self, file: Path, *, whole: bool = False) -> None:
        """What is to be seen, as PNG; `whole` takes the page to its end."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
