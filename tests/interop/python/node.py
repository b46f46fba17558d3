"""One node: the real binary, on a port of the system's choice, ended by its process id."""

import contextlib
import http.client
import json
import os
import queue
import re
import resource
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

SECONDS = 10
ROOT = Path(__file__).resolve().parents[3]
BINARY = os.environ.get("WSHUB_BIN", str(ROOT / "target/release/wshub"))
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/")


def command(*arguments):
    """Runs the binary to its end, with no configuration but what is said here."""
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(
            [BINARY, *arguments],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


def environment():
    return {name: value for name, value in os.environ.items() if not name.startswith("WSHUB_")}


class Api:
    """What is asked of a node by HTTP, one connection each; whoever has it knows its `port`."""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(*self.address, timeout=SECONDS)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path):
        return self.request("GET", path)

    def publish(self, message):
        """Posts a message, or an array of them; text goes out as it is."""
        body = message if isinstance(message, str | bytes) else json.dumps(message)
        return self.request("POST", "/publish", body, {"Content-Type": "application/json"})

    def clients(self):
        return self.get("/health").json["clients"]


class Node(Api):
    def __init__(self, *settings, files=None, port=0):
        """Starts it with these settings.

        `files` is how many it may have open, `port` that of a node before it.
        """
        self.folder = tempfile.TemporaryDirectory()
        arguments = [part for setting in settings for part in ("--set", setting)]
        self.process = subprocess.Popen(
            [BINARY, "serve", "--listen", f"127.0.0.1:{port}", *arguments],
            cwd=self.folder.name,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=files
            and (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))),
        )
        self.said = []
        self.lines = queue.Queue()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()
        self.port = self._wait_for_address()

    def _listen(self):
        for line in self.process.stdout:
            self.said.append(line)
            self.lines.put(line)
        self.lines.put(None)

    def _wait_for_address(self):
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(queue.Empty):
                line = self.lines.get(timeout=max(0, end - time.monotonic()))
                if line is None:
                    break
                if found := ADDRESS.search(line):
                    return int(found[1])
        self.kill()
        raise AssertionError(f"the node named no address; it said: {''.join(self.said)}")

    def tell_to_end(self, how=signal.SIGTERM):
        """Asks the node to end; asked twice it doesn't wait for its clients."""
        if self.process.poll() is None:
            self.process.send_signal(how)

    def end(self, how=signal.SIGTERM, seconds=30):
        """Asks the node to end and returns its exit code."""
        self.tell_to_end(how)
        return self.wait(seconds)

    def wait(self, seconds=30):
        """Waits for the end of a node that was asked to and returns its exit code."""
        try:
            return self.process.wait(seconds)
        finally:
            self.kill()
            self.listener.join(SECONDS)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(SECONDS)
        self.folder.cleanup()

    def resident_bytes(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The code of an error, which always comes with a sentence."""
        assert self.json["error"], self.json
        return self.json["code"]


def until(condition, seconds=SECONDS):
    """Asks again and again until it is so; false when the time is over."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
    return True
