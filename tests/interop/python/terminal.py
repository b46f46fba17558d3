"""The commands that people type, as processes whose words are read as they come."""

import contextlib
import json
import queue
import signal
import subprocess
import threading
import time

from node import BINARY, SECONDS, environment


class Typed:
    """A command that runs; its lines on stdout and stderr can be waited for."""

    def __init__(self, *arguments, folder, reads=True):
        """Types it; what it prints is left in the pipe where nobody `reads`."""
        self.process = subprocess.Popen(
            [BINARY, *arguments],
            cwd=folder,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.printed = reads and Lines(self.process.stdout)
        self.noted = Lines(self.process.stderr)

    def type(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def end_of_input(self):
        self.process.stdin.close()

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def wait(self, seconds=3 * SECONDS):
        return self.process.wait(seconds)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(SECONDS)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


class Lines:
    """The lines of a pipe, read by a thread so that none is kept waiting."""

    def __init__(self, pipe):
        self.all = []
        self.coming = queue.Queue()
        threading.Thread(target=self._read, args=(pipe,), daemon=True).start()

    def _read(self, pipe):
        with contextlib.suppress(ValueError):
            for line in pipe:
                self.coming.put(line.rstrip("\n"))
        self.coming.put(None)

    def next(self, seconds=3 * SECONDS):
        """The next line; none at the end."""
        line = self.coming.get(timeout=seconds)
        if line is not None:
            self.all.append(line)
        return line

    def until(self, words, seconds=3 * SECONDS):
        """Reads on to a line with these words."""
        end = time.monotonic() + seconds
        while (line := self.next(max(0.01, end - time.monotonic()))) is not None:
            if words in line:
                return line
        raise AssertionError(f"{words!r} never came, but {self.all}")

    def rest(self):
        """All lines to the end."""
        while self.next() is not None:
            pass
        return self.all

    def data(self, number):
        """What so many messages carry that are printed raw."""
        return [json.loads(self.next())["data"] for _ in range(number)]
