"""Starts a server on core 0, loads it from core 1, and ends it: one run, one figure."""

import contextlib
import json
import os
import re
import subprocess
import time

SERVER_CORE, LOADER_CORE = 0, 1
STARTING, LOADING, ENDING = 15, 240, 10  # seconds
ADDRESS = re.compile(rb"http://([\d.]+:\d+)")


class RunFailed(Exception):
    """A run without a figure; the text says why."""


def measure(run, programs, told, preexec=None):
    """The figures of one run, as the loader tells them; `told` is what it is told of servers."""
    command = [programs["load"], *told, *run.load]
    try:
        load = subprocess.run(
            command, capture_output=True, text=True, timeout=LOADING, preexec_fn=preexec
        )
    except subprocess.TimeoutExpired:
        raise RunFailed(f"the loader took over {LOADING} s") from None
    if load.returncode != 0:
        raise RunFailed(load.stderr.strip())
    return json.loads(load.stdout)


@contextlib.contextmanager
def serving(run, programs, folder):
    """A server of its own, and what the loader is told of it: a free port, none of the caller's
    configuration."""
    arguments = {
        "bare": ["127.0.0.1:0"],
        "wshub": ["serve", "--listen", "127.0.0.1:0", "--shards", str(run.shards)]
        + [word for setting in run.settings for word in ("--set", setting)],
    }
    command = [programs[run.server], *arguments[run.server]]
    with running(command, folder, on_core(SERVER_CORE)) as (process, address):
        time.sleep(0.3)  # What starting costs isn't what a connection costs.
        yield ["--server", address, "--pid", str(process.pid), "--dialect", run.server]


@contextlib.contextmanager
def running(command, folder, preexec=None):
    """The process of a server and the address it listens on; what it says goes into the folder."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("WSHUB_")}
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=clean,
            preexec_fn=preexec,
        )
    try:
        yield process, listening(process, folder)
    finally:
        end(process)


def listening(process, folder):
    deadline = time.monotonic() + STARTING
    while time.monotonic() < deadline and process.poll() is None:
        found = ADDRESS.search((folder / "said").read_bytes())
        if found:
            return found[1].decode()
        time.sleep(0.05)
    raise RunFailed(f"the server printed no address:\n{last_words(folder)}")


def end(process):
    process.terminate()
    try:
        process.wait(ENDING)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def on_core(core):
    return lambda: os.sched_setaffinity(0, {core})


def last_words(folder):
    return "\n".join((folder / "said").read_text(errors="replace").splitlines()[-8:])
