"""Chromium without a window, told what to do over a pipe (the Chrome DevTools Protocol)."""
import json
import os
import subprocess


class Chromium:
    """One browser with one page. Whatever a page asks of another host fails, and is seen in `events`."""

    def __init__(self, program, folder):
        command = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                   "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
                   "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe", f"--user-data-dir={folder}"]
        (theirs_in, self._to), (self._from, theirs_out) = os.pipe(), os.pipe()

        def connect():  # the browser reads from 3 and writes to 4
            ends = os.dup(theirs_in), os.dup(theirs_out)
            os.dup2(os.dup(ends[0]), 3)
            os.dup2(os.dup(ends[1]), 4)

        with open(os.devnull, "wb") as nowhere:
            self._process = subprocess.Popen(command, preexec_fn=connect, close_fds=False, stdout=nowhere, stderr=nowhere)
        os.close(theirs_in)
        os.close(theirs_out)
        self._buffer, self._count, self.events, self._session = b"", 0, [], None
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in "Page", "Runtime", "Log", "Network":
            self(f"{domain}.enable")

    def _message(self):
        while b"\0" not in self._buffer:
            part = os.read(self._from, 1 << 20)
            if not part:
                raise RuntimeError("Chromium has ended")
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def __call__(self, method, **parameters):
        """A command's result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, address):
        """Until the page and its pictures are there. `events` are then those of this page."""
        self.events.clear()
        self("Page.navigate", url=address)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._message())

    def value(self, expression):
        answer = self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def screen(self, width, height, scheme):
        self("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def close(self):
        """The browser ends with its pipes. A signal might end a script alone, which is what a distribution calls by its name."""
        os.close(self._to)
        os.close(self._from)
        self._process.wait()
