"""Chromium without a window, told what to do through the pipe of its DevTools."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import time

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--remote-debugging-pipe",
    "--use-angle=swiftshader",  # WebGL on the processor, for the picture of the scan
    "--enable-unsafe-swiftshader",
    "--no-first-run",
)


class Page:
    """A page of a running Chromium."""

    def __init__(self, commands, answers, downloads, number):
        self.process = number  # of Chromium, whose children do the work
        self._commands, self._answers = commands, answers
        self._number, self._session = 0, {}
        behaviour = {"behavior": "allow", "downloadPath": str(downloads)}
        self._call("Browser.setDownloadBehavior", **behaviour)
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        session = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": session["sessionId"]}

    def _call(self, method, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters, **self._session}
        self._commands.write(json.dumps(message).encode() + b"\0")
        self._commands.flush()
        while True:
            answer = json.loads(b"".join(iter(lambda: self._answers.read(1), b"\0")))
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"Chromium refuses {method}: {answer['error']}")
                return answer["result"]

    def open(self, address):
        """Go to an address."""
        self._call("Page.navigate", url=address)

    def value(self, expression):
        """Evaluate JavaScript; a promise is waited for."""
        asked = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        answer = self._call("Runtime.evaluate", userGesture=True, **asked)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression} fails: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, expression, seconds):
        """Wait until an expression is true; returns its value."""
        end = time.monotonic() + seconds
        while not (value := self.value(expression)):
            if time.monotonic() > end:
                raise TimeoutError(f"{expression} is not true after {seconds} s")
            time.sleep(0.2)
        return value


@contextlib.contextmanager
def browsing(folder, *flags):
    """Start Chromium with an empty profile and one page, which saves files to the folder."""
    command_in, command_out = os.pipe()
    answer_in, answer_out = os.pipe()
    # Chromium reads from 3 and writes to 4; neither may be one of the numbers that are copied.
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (command_in, answer_out)]
    for end in (command_in, answer_out):
        os.close(end)
    start = f'exec "$0" "$@" 3<&{ends[0]} 4>&{ends[1]}'
    words = ["bash", "-c", start, CHROMIUM, *_FLAGS, *flags, f"--user-data-dir={folder}/profile"]
    with open(command_out, "wb") as commands, open(answer_in, "rb") as answers:
        process = subprocess.Popen(words, pass_fds=ends, stderr=subprocess.DEVNULL)
        for end in ends:
            os.close(end)
        try:
            yield Page(commands, answers, folder, process.pid)
        finally:
            process.terminate()
            process.wait(30)
