# SPDX-License-Identifier: Apache-2.0
"""A real Chromium without a window, driven through chromedriver by the WebDriver protocol."""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request

from tests.support import net
from tests.support.runner import Skip

# Nothing but the pages under test is asked for, and no sandbox, which root cannot have.
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
         "--disable-extensions", "--mute-audio", "--window-size=1280,900"]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"enter": "\ue007", "down": "\ue015", "up": "\ue013", "escape": "\ue00c"}


class Browser:
    """In a `with`; its processes are gone afterwards."""

    def __init__(self):
        if not shutil.which("chromedriver") or not shutil.which("chromium"):
            raise Skip("chromium or chromium-driver is not installed")
        self.folder = tempfile.mkdtemp(prefix="sluice-browser-")
        self.process = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.DEVNULL, start_new_session=True,
                                        env={**os.environ, "HOME": self.folder})
        self.session = None
        try:
            self.base = "http://127.0.0.1:%d" % self.find_port()
            options = {"args": [*FLAGS, "--user-data-dir=" + os.path.join(self.folder, "profile")],
                       "binary": shutil.which("chromium")}
            capabilities = {"alwaysMatch": {"goog:chromeOptions": options,
                                            "goog:loggingPrefs": {"browser": "ALL"}}}
            self.session = self.ask("POST", "/session", {"capabilities": capabilities})["sessionId"]
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            if self.session:
                self.ask("DELETE", "/session/" + self.session)
        finally:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
            self.process.stdout.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def find_port(self):
        for line in self.process.stdout:
            found = re.search(r"successfully on port (\d+)", line)
            if found:
                return int(found[1])
        raise AssertionError("chromedriver ended at once")

    def ask(self, method, path, body=None):
        data = None if method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60 * net.SLOW_FACTOR) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise AssertionError("%s %s: %s" % (method, path, value["message"].split("\n")[0])) from None

    def do(self, method, path, body=None):
        return self.ask(method, "/session/%s%s" % (self.session, path), body)

    def open(self, url):
        self.do("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """What the script returns, which may be a promise's value."""
        return self.do("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find_all(self, selector):
        return [found[ELEMENT] for found in
                self.do("POST", "/elements", {"using": "css selector", "value": selector})]

    def find(self, selector, text=None):
        """The first element, waited for, whose text contains `text`."""
        def look():
            for found in self.find_all(selector):
                if text is None or text in (self.text_of(found) or ""):
                    return found
            return None
        return net.wait_until(look, 15, lambda: "%s with %r on the page:\n%s" % (selector, text, self.page()))

    def text_of(self, element):
        try:
            return self.do("GET", "/element/%s/text" % element)
        except AssertionError:  # it was drawn anew meanwhile
            return None

    def page(self):
        return self.run("return document.body.innerText")

    def click(self, selector, text=None):
        def attempt():
            try:
                self.do("POST", "/element/%s/click" % self.find(selector, text))
                return True
            except AssertionError:
                return False
        net.wait_until(attempt, 10, lambda: "a click on " + selector)

    def write(self, selector, text):
        found = self.find(selector)
        self.do("POST", "/element/%s/clear" % found)
        self.do("POST", "/element/%s/value" % found, {"text": text})

    def press(self, *keys):
        actions = [{"type": kind, "value": KEYS.get(key, key)} for key in keys for kind in ("keyDown", "keyUp")]
        self.do("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def complaints(self):
        """What the page has said on its console that is worse than a remark."""
        return [entry["message"] for entry in self.do("POST", "/se/log", {"type": "browser"})
                if entry["level"] == "SEVERE"]
