"""Drives a report page in a real Chromium over its DevTools: clicks, filters, prints; prints what it saw as JSON."""

from __future__ import annotations

import base64
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

import websocket

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
    "--disable-dev-shm-usage", "--remote-debugging-port=0", "--remote-allow-origins=*",
]
PATIENCE = 120
"""Seconds: only a browser that hangs takes that long."""


class Browser:
    """One Chromium with one page, spoken to over its DevTools."""

    def __init__(self, program: str, profile: str) -> None:
        self.process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for line in self.process.stderr:
            if "DevTools listening on" in line:
                port = line.rsplit(":", 1)[1].split("/")[0]
                break
        else:
            raise SystemExit(f"{program} ended before it listened")
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{port}/json") as answer:
            target = next(one for one in json.load(answer) if one["type"] == "page")
        self.socket = websocket.create_connection(target["webSocketDebuggerUrl"], timeout=PATIENCE, max_size=None)
        self.number = 0
        self.events: list[dict] = []

    def call(self, method: str, **parameters: object) -> dict:
        """Calls a method and waits for its answer; events that come meanwhile are kept."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.number:
                if "error" in message:
                    raise SystemExit(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def wait(self, method: str) -> None:
        """Waits for an event that has not come yet."""
        while not any(event.get("method") == method for event in self.events):
            self.events.append(json.loads(self.socket.recv()))

    def ask(self, expression: str) -> object:
        """The value of a script's expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise SystemExit(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def click(self, selector: str) -> None:
        """Clicks with the mouse in the middle of the first such element."""
        # What was just shown or hidden has its place only after it was painted.
        box = self.ask(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))).then(() =>"
            f" (() => {{ const e = document.querySelector({selector!r}); e.scrollIntoView({{block: 'center', behavior: 'instant'}});"
            " const b = e.getBoundingClientRect(); return [b.left + Math.min(b.width / 2, 60), b.top + b.height / 2]; })())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def press(self, key: str, code: int = 0) -> None:
        """Presses a key."""
        text = key if len(key) == 1 else ("\r" if key == "Enter" else "")
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, text=text if kind == "keyDown" else "")

    def picture(self, path: pathlib.Path, width: int, height: int, dark: bool = False) -> None:
        """Takes a screenshot."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.ask("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


def opened(browser: Browser, url: str) -> dict:
    """Opens the page; what it painted, asked for and complained of."""
    for domain in ("Page", "Runtime", "Log", "Network"):
        browser.call(f"{domain}.enable")
    browser.call("Emulation.setDeviceMetricsOverride", width=1300, height=900, deviceScaleFactor=1, mobile=False)
    browser.call("Page.navigate", url=url)
    browser.wait("Page.loadEventFired")
    paint = browser.ask(
        "new Promise(done => { const seen = () => performance.getEntriesByName('first-contentful-paint')[0];"
        " const look = () => seen() ? done(seen().startTime) : requestAnimationFrame(look); look(); })"
    )
    ready = browser.ask("document.documentElement.dataset.ready")
    return {"first_paint_ms": paint, "ready": ready}


SHOWN = "[...document.querySelectorAll('#rows>tr')].filter(row => row.offsetParent).map(row => row.id)"
TYPE = "(() => {{ const e = document.getElementById('query'); e.value = {!r}; e.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"


def used(browser: Browser, word: str) -> dict:
    """What a visitor does: filters, sorts, opens a session, moves by keys."""
    seen: dict[str, object] = {"rows": len(browser.ask(SHOWN))}
    browser.press("/", 191)
    seen["slash_focuses"] = browser.ask("document.activeElement.id")
    browser.ask(TYPE.format(word))
    seen["filtered"] = browser.ask(SHOWN)
    seen["count"] = browser.ask("document.getElementById('count').textContent")
    browser.ask(TYPE.format("no such session"))
    seen["none"] = browser.ask("!document.getElementById('none').hidden")
    browser.click("#clear")
    seen["cleared"] = len(browser.ask(SHOWN))
    browser.click("input[value=failed]+span")
    seen["failed"] = browser.ask(SHOWN)
    browser.press("Escape", 27)
    browser.ask("document.activeElement.blur()")
    browser.press("Escape", 27)
    seen["escaped"] = len(browser.ask(SHOWN))
    browser.click("th[data-sort=wall] button")
    seen["slowest"] = browser.ask(SHOWN)[0]
    seen["sorted"] = browser.ask("document.querySelector('th[data-sort=wall]').getAttribute('aria-sort')")
    browser.click("#rows>tr a")
    seen["detail"] = browser.ask("document.getElementById('detail').hidden ? null : document.getElementById('detail').innerText")
    seen["hash"] = browser.ask("location.hash")
    browser.press("Escape", 27)
    seen["closed"] = browser.ask("document.getElementById('detail').hidden")
    browser.ask("document.querySelector('#rows>tr a').focus()")
    browser.press("ArrowDown", 40)
    seen["arrow_moves"] = browser.ask("document.activeElement.closest('tr') === document.querySelectorAll('#rows>tr')[1]")
    browser.press("Enter", 13)
    seen["enter_opens"] = browser.ask("document.activeElement.id")
    browser.press("Escape", 27)
    seen["focus_returns"] = browser.ask("document.activeElement.closest('tr') === document.querySelectorAll('#rows>tr')[1]")
    browser.click("th[data-sort=start] button")
    browser.click("#theme")
    seen["theme"] = browser.ask("document.getElementById('theme').textContent")
    browser.click("#theme")
    browser.click("#theme")
    return seen


def main() -> None:
    program, page, word, pictures = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), sys.argv[3], sys.argv[4:]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        try:
            seen = opened(browser, page.as_uri()) | used(browser, word)
            seen["overflows"] = {}
            for width in (1300, 700, 400):
                browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
                seen["overflows"][str(width)] = browser.ask("document.documentElement.scrollWidth - innerWidth")
            pdf = base64.b64decode(browser.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"])
            seen["pdf"] = pdf[:5].decode()
            if pictures:
                directory = pathlib.Path(pictures[0])
                directory.mkdir(parents=True, exist_ok=True)
                (directory / "print.pdf").write_bytes(pdf)
                browser.ask("scrollTo(0, 0)")
                height = min(int(browser.ask("document.documentElement.scrollHeight")), 4000)
                browser.picture(directory / "light.png", 1300, min(height, 2600))
                browser.picture(directory / "dark.png", 1300, min(height, 2600), dark=True)
                browser.picture(directory / "narrow.png", 400, 2600)
                browser.click("#rows>tr:nth-child(3) a")
                browser.picture(directory / "detail.png", 1300, 900)
            network = [event["params"]["request"]["url"] for event in browser.events if event.get("method") == "Network.requestWillBeSent"]
            seen["requests"] = [url for url in network if not url.startswith(("file:", "data:"))]
            seen["complaints"] = [
                event["params"] for event in browser.events
                if event.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
            ]
            print(json.dumps(seen))
        finally:
            browser.process.terminate()
            browser.process.wait()


if __name__ == "__main__":
    started = time.monotonic()
    main()
    print(f"{time.monotonic() - started:.1f} s", file=sys.stderr)
