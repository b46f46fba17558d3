"""Starts a Redis with no file behind it and nodes over it, and asks redis-benchmark what that Redis
gives. Nothing of a cluster is bound to a core: it has two for itself and the loader."""

import contextlib
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

from servers import STARTING, RunFailed, end, last_words, running

SCRIPTS = Path(__file__).resolve().parents[2] / "crates/engine/src/redis/scripts"
NAME = "websocket:"
DATA = '"BTS:0000000000000000:' + "x" * 43 + '"'
FAR = "99999999999999"  # a deadline, in milliseconds since 1970
BENCHMARK = 120  # seconds
PER_SECOND = re.compile(r"([\d.]+) requests per second")


@contextlib.contextmanager
def cluster(run, programs, folder):
    """Its nodes, and what the loader is told of them."""
    with contextlib.ExitStack() as stack:
        redis, port = stack.enter_context(a_redis(folder))
        nodes = []
        for number in range(run.nodes):
            place = folder / f"node{number}"
            place.mkdir()
            command = [programs["wshub"], "serve", "--listen", "127.0.0.1:0", "--shards", "1"]
            command += ["--redis", f"127.0.0.1:{port}", "--node", f"node{number}"]
            process, address = stack.enter_context(running(command, place))
            wait_for(lambda place=place: b"Redis is there" in (place / "said").read_bytes())
            nodes.append((address, str(process.pid)))
        told = ["--redis", f"127.0.0.1:{port}", "--redis-pid", str(redis.pid)]
        names = (("--server", "--pid"), ("--other", "--other-pid"))
        for (name, pid), node in zip(names, nodes, strict=False):
            told += [name, node[0], pid, node[1]]
        yield told


@contextlib.contextmanager
def a_redis(folder):
    """The process of a Redis on a free port, and that port."""
    if shutil.which("redis-server") is None:
        raise RunFailed("there is no redis-server (Debian: redis)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", folder]
    command += ["--save", "", "--appendonly", "no"]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
        )
    try:
        if not wait_for(lambda: cli(port, "PING") == "PONG"):
            raise RunFailed(f"Redis does not answer:\n{last_words(folder)}")
        yield process, port
    finally:
        end(process)


def wait_for(is_so):
    deadline = time.monotonic() + STARTING
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_so()


def cli(port, *words, script=None):
    command = ["redis-cli", "-p", str(port), *words]
    return subprocess.run(command, input=script, capture_output=True, text=True).stdout.strip()


def benchmark(run, folder):
    """What redis-benchmark gets of the script of a turn with one message in it: 8 connections with
    64 calls in flight each."""
    to_users, calls = run.load
    with a_redis(folder) as (_, port):
        begin = (SCRIPTS / "begin.lua").read_text()
        epoch = cli(port, "EVAL", begin, "2", f"{NAME}log", f"{NAME}meta", "", "beef", "0")
        turn = cli(port, "-x", "SCRIPT", "LOAD", script=(SCRIPTS / "turn.lua").read_text())
        keys, arguments = a_turn(epoch, to_users == "users")
        command = ["redis-benchmark", "-p", str(port), "-c", "8", "-P", "64", "-n", calls, "-q"]
        # Ids are never the same; users are among as many as in the run of the node.
        command += ["-r", "1000" if to_users == "users" else "1000000000"]
        command += ["EVALSHA", turn, str(len(keys)), *keys, *arguments]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=BENCHMARK)
        except subprocess.TimeoutExpired:
            raise RunFailed(f"redis-benchmark took over {BENCHMARK} s") from None
        found = PER_SECOND.findall(ended.stdout)
        length = int(cli(port, "XLEN", f"{NAME}log") or 0)
        if not found or length < int(calls) // 2:
            raise RunFailed(f"redis-benchmark said {ended.stdout[-300:]}, the log has {length}")
        return {"acked_per_s": float(found[-1])}


def a_turn(epoch, to_users):
    """Keys and arguments of `turn.lua`. Its number is none, so that no call is taken for one that
    was done before; what it writes is the same."""
    lane = f"{NAME}node:beef:lane"
    keys = [f"{NAME}log", f"{NAME}meta", lane, f"{NAME}queues", f"{NAME}node:beef:members"]
    turn = ["nan", epoch, "", "1800000", "100", "1048576"]
    if to_users:
        # Without an id: redis-benchmark has one random number for all of a call.
        user, letter = "user__rand_int__", '{"type":"user","id":"1-2","from":"user00000","data":'
        keys += [f"{NAME}queue:{user}", f"{NAME}account:{user}"]
        head = f'{{"k":"u","i":"1-2","f":"user00000","u":["{user}"]}}'
        return keys, [*turn, "p", "2", "9", FAR, "0", "", head, DATA, letter, "1", user]
    keys.append(f"{NAME}id:user00000:__rand_int__")
    head = '{"k":"r","i":"1-__rand_int__","f":"user00000","r":"empty"}'
    return keys, [*turn, "p", "1", "8", FAR, "300000", "8 bytes.", head, DATA, "", "0"]
