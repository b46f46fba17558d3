"""A cluster on this machine: Redis, nodes and HAProxy, which end with whoever started them."""

import ctypes
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BINARY = Path(os.environ.get("WSHUB_BIN", ROOT / "target/release/wshub")).resolve()
HAPROXY = ROOT / "deploy/haproxy.cfg"
LOOPBACK = "127.0.0.1"

# How long a part may take to be there. A node loads the log before it is ready.
START_SECONDS = 20
# A node's drain.timeout and drain.delay together, and some more.
DRAIN_SECONDS = 30
# Longer than the balancer needs to notice that a node drains (see haproxy.cfg).
DRAIN_DELAY = "1s"
# Between two looks at something that can't be waited for.
LOOK_SECONDS = 0.02

# Debian keeps HAProxy where only root looks.
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin"

FAREWELL = re.compile(r"wshub: (\d+) moved, (\d+) lost")
PR_SET_PDEATHSIG = 1


class Failed(Exception):
    """A part did not start, or did not end as it should; the sentence is for whoever called."""


def find(program):
    """Where a program is."""
    found = shutil.which(program, path=PATH)
    if not found:
        raise Failed(f"there is no {program}")
    return found


def free_port():
    """A port that nobody listens on, below those that the system gives to clients.

    A client could else be given the port of a part that is just being restarted.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(lowest // 2, lowest)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port


def dies_with_its_parent():
    """Has the kernel end the process when the thread that started it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Part:
    """A process whose words go to a file."""

    def __init__(self, name, folder):
        self.name = name
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / f"{name}.log"
        self.process = None
        # Where the words of the process that runs now begin.
        self.begins = 0

    def run(self, program, *command, **options):
        self.begins = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [find(program), *map(str, command)],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=dies_with_its_parent,
                **options,
            )

    @property
    def pid(self):
        return self.process.pid

    def runs(self):
        return self.process is not None and self.process.poll() is None

    def said(self):
        """What the process has said since it was started the last time."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self.begins)
            return log.read().decode(errors="replace")

    def wait_until(self, is_there, what):
        """Looks until it is so; fails when the process ends before, or the time is over."""
        end = time.monotonic() + START_SECONDS
        while not is_there():
            if not self.runs() or time.monotonic() > end:
                raise Failed(f"{self.name} {what}; it said:\n{self.said()}")
            time.sleep(LOOK_SECONDS)

    def signal(self, number):
        if self.runs():
            self.process.send_signal(number)

    def kill(self):
        """Ends it at once."""
        self.signal(signal.SIGKILL)
        self.wait()

    def wait(self, seconds=DRAIN_SECONDS):
        """The exit status of a process that was told to end."""
        return self.process.wait(seconds) if self.process else 0

    def pause(self):
        """SIGSTOP; returns when it has stopped."""
        self.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)

    def go_on(self):
        self.signal(signal.SIGCONT)


class Redis(Part):
    """A Redis of its own: its data are in its folder, its port stays the same."""

    def __init__(self, folder, *arguments, port=None):
        super().__init__("redis", folder)
        self.arguments = arguments
        self.port = port or free_port()
        self.address = f"{LOOPBACK}:{self.port}"

    def start(self):
        where = ("--bind", LOOPBACK, "--port", self.port, "--dir", self.folder)
        self.run("redis-server", *where, "--maxmemory-policy", "noeviction", *self.arguments)
        self.wait_until(
            lambda: "Ready to accept connections" in self.said(),
            f"can't be started on port {self.port}",
        )
        return self


class Node(Part):
    """A node; it keeps its port when it is started again."""

    def __init__(self, name, folder, redis, *settings, binary=BINARY, port=None):
        """`redis` is the address that it is told; `settings` are further `key=value`."""
        super().__init__(name, folder)
        self.redis = redis
        self.settings = (f"drain.delay={DRAIN_DELAY}", *settings)
        self.binary = binary
        self.port = port or free_port()
        self.address = (LOOPBACK, self.port)

    def launch(self):
        """Starts it and doesn't wait."""
        settings = [word for setting in self.settings for word in ("--set", setting)]
        listen = ("--listen", f"{LOOPBACK}:{self.port}")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WSHUB_")}
        where = ("--node", self.name, "--redis", self.redis)
        self.run(self.binary, "serve", *listen, *where, *settings, env=kept)
        return self

    def start(self):
        self.launch()
        self.wait_until(self.is_ready, "doesn't become ready")
        return self

    def is_ready(self):
        return status_of(self.address, "/ready") == 200

    def tell_to_drain(self):
        self.signal(signal.SIGTERM)

    def end(self):
        """Has it drain; what it says then: connections that moved, messages that were lost."""
        self.tell_to_drain()
        return self.farewell()

    def farewell(self):
        """What a node says that was told to drain, once it has."""
        status = self.wait()
        said = FAREWELL.search(self.said())
        if status != 0 or not said:
            raise Failed(f"{self.name} ended with status {status}; it said:\n{self.said()}")
        return int(said[1]), int(said[2])


class Balancer(Part):
    """HAProxy before the nodes."""

    def __init__(self, folder, nodes, port=0):
        super().__init__("haproxy", folder)
        self.nodes = nodes
        self.listener = socket.create_server((LOOPBACK, port))
        self.port = self.listener.getsockname()[1]
        self.address = (LOOPBACK, self.port)

    def start(self):
        servers = [f"server {node.name} {LOOPBACK}:{node.port}" for node in self.nodes]
        text = HAPROXY.read_text()
        text = text.replace("{listen}", f"fd@{self.listener.fileno()}")
        text = text.replace("{servers}", "\n    ".join(servers))
        config = self.folder / "haproxy.cfg"
        config.write_text(text)
        listener = self.listener.fileno()
        self.run("haproxy", "-db", "-f", config, pass_fds=[listener])
        self.wait_until(lambda: status_of(self.address, "/ready") == 200, "can't be started")
        return self


class Cluster:
    """Redis, nodes and HAProxy, which know each other."""

    def __init__(
        self,
        folder,
        nodes=3,
        redis_arguments=(),
        settings=(),
        port=0,
        redis_port=None,
        reach_redis_by=None,
    ):
        """`reach_redis_by(redis)` is the address that nodes are told, where it isn't its own."""
        folder = Path(folder)
        self.redis = Redis(folder / "redis", *redis_arguments, port=redis_port)
        address = reach_redis_by(self.redis) if reach_redis_by else self.redis.address
        self.nodes = [
            Node(f"n{number}", folder / f"n{number}", address, *settings)
            for number in range(1, nodes + 1)
        ]
        self.balancer = Balancer(folder / "haproxy", self.nodes, port)

    @property
    def parts(self):
        return [self.redis, *self.nodes, self.balancer]

    def start(self):
        self.redis.start()
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.wait_until(node.is_ready, "doesn't become ready")
        self.balancer.start()
        return self

    def rolling_restart(self, say=print):
        """Restarts node after node, each when the one before is ready; adds up what they say."""
        moved = lost = 0
        for node in self.nodes:
            began = time.monotonic()
            some_moved, some_lost = node.end()
            moved, lost = moved + some_moved, lost + some_lost
            node.start()
            seconds = time.monotonic() - began
            say(f"{node.name}: {some_moved} moved, {some_lost} lost, back after {seconds:.1f} s")
        say(f"{moved} moved, {lost} lost")
        return moved, lost

    def end(self):
        """Ends all of it: the nodes at once rather than by a drain, and Redis last."""
        for part in [self.balancer, *self.nodes, self.redis]:
            if part.runs():
                part.go_on()
                part.signal(signal.SIGTERM)
                if part in self.nodes:
                    part.signal(signal.SIGINT)
        reaper = threading.Timer(DRAIN_SECONDS / 3, self.kill)
        reaper.start()
        for part in self.parts:
            part.wait()
        reaper.cancel()

    def kill(self):
        for part in self.parts:
            part.signal(signal.SIGKILL)


def status_of(address, path):
    """The status of a GET; none where nobody answers."""
    connection = http.client.HTTPConnection(*address, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def tell(address, message):
    """Sends a JSON line to a Unix socket and yields the lines that come back."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(address))
        peer.sendall(json.dumps(message).encode() + b"\n")
        yield from peer.makefile()
