"""Drives a headless Chromium over its debugging pipe: pages are opened, pressed, clicked and looked at."""

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

PROGRAM = shutil.which("chromium")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-extensions --mute-audio --remote-debugging-pipe"
).split()
PATIENCE = 20.0  # seconds


class Browser:
    """One page of a browser of its own, as a context.

    Attributes:
      requests: addresses that the page asked for.
      problems: what the page's console said of errors.
    """

    def __init__(self, folder: Path, width: int = 1280, height: int = 680):
        self.requests: list[str] = []
        self.problems: list[str] = []
        self._number, self._session, self._rest = 0, None, b""
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        flags = [*FLAGS, f"--user-data-dir={folder}", f"--window-size={width},{height}"]
        # Chromium reads commands from descriptor 3 and writes answers to 4. Copies on high numbers come first, because
        # the pipes' own ends may be 3 or 4.
        shell = f'exec 13<&{to_browser} 14>&{from_browser}; exec 3<&13 4>&14 13<&- 14>&-; exec "$0" "$@"'
        self._process = subprocess.Popen(
            ["bash", "-c", shell, PROGRAM, *flags, "about:blank"],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        os.set_blocking(self._read, False)

    def __enter__(self) -> "Browser":
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")
        return self

    def __exit__(self, *error) -> None:
        self._process.terminate()
        self._process.wait()
        os.close(self._write)
        os.close(self._read)

    def screen(self, width: int, height: int, dark: bool = False) -> None:
        """Sets the size of the page and its colour scheme."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, path: Path) -> None:
        self._call("Page.navigate", url=path.resolve().as_uri())

    def value(self, expression: str):  # noqa: ANN201
        """The value of an expression in the page, awaited; raises ValueError for an exception there."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise ValueError(json.dumps(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def wait(self, expression: str, expected=True) -> None:  # noqa: ANN001
        """Waits until an expression has a value."""
        end = time.monotonic() + PATIENCE
        while (value := self.value(expression)) != expected:
            assert time.monotonic() < end, f"{expression} is {value!r}, not {expected!r}"
            time.sleep(0.02)

    def press(self, key: str, shift: bool = False) -> None:
        """Presses a key: its name as in KeyboardEvent.key."""
        text = {"text": key} if len(key) == 1 else {}
        fields = {"key": key, "modifiers": 8 * shift, **text}
        self._call("Input.dispatchKeyEvent", type="keyDown", **fields)
        self._call("Input.dispatchKeyEvent", type="keyUp", key=key, modifiers=8 * shift)

    def click(self, x: float, y: float) -> None:
        """Clicks at a place of the page, CSS px."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            buttons = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **buttons)

    def move(self, x: float, y: float) -> None:
        """Moves the mouse to a place of the page, CSS px."""
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def drag(self, start: tuple[float, float], end: tuple[float, float], button: str = "left") -> None:
        """Presses a button of the mouse at a place of the page, CSS px, and moves it to another one."""
        held = {"button": button, "buttons": {"left": 1, "right": 2}[button]}
        self.move(*start)
        self._call("Input.dispatchMouseEvent", type="mousePressed", x=start[0], y=start[1], clickCount=1, **held)
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=end[0], y=end[1], **held)
        self._call("Input.dispatchMouseEvent", type="mouseReleased", x=end[0], y=end[1], clickCount=1, button=button)

    def wheel(self, x: float, y: float, down: float) -> None:
        """Turns the wheel at a place of the page, CSS px."""
        self._call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=down)

    def click_on(self, selector: str) -> None:
        """Clicks the middle of an element, which is scrolled into sight."""
        box = f"document.querySelector({json.dumps(selector)})"
        x, y = self.value(
            f"(() => {{ const e = {box}; e.scrollIntoView({{block: 'nearest'}}); const r = e.getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        self.click(x, y)

    def picture(self, path: Path) -> None:
        """A screenshot, PNG."""
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot")["data"]))

    def _call(self, method: str, **parameters):  # noqa: ANN202
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for answer in self._answers():
                if answer.get("id") == self._number:
                    assert "error" not in answer, answer
                    return answer["result"]
                self._note(answer)
            time.sleep(0.002)
        raise TimeoutError(method)

    def _answers(self) -> list[dict]:
        try:
            self._rest += os.read(self._read, 2**20)
        except BlockingIOError:
            return []
        *answers, self._rest = self._rest.split(b"\0")
        return [json.loads(answer) for answer in answers]

    def _note(self, event: dict) -> None:
        method, fields = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(fields["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.problems.append(fields["exceptionDetails"].get("exception", {}).get("description", "exception"))
        elif method == "Log.entryAdded" and fields["entry"]["level"] == "error":
            self.problems.append(fields["entry"]["text"])
