"""How something breaks under load, and how long it takes until all clients hear again."""

import asyncio
import contextlib
import os
import subprocess
import time

from load import Load

# Whether the long form runs: faults last longer, and more is said after them.
LONG = os.environ.get("WSHUB_LONG") == "1"

ALWAYS = ("--save", "", "--appendonly", "yes", "--appendfsync", "always")
EVERYSEC = ("--save", "", "--appendonly", "yes", "--appendfsync", "everysec")
NOTHING = ("--save", "", "--appendonly", "no")


def ask_redis(redis, *words):
    """What Redis answers; an error of it is an answer, too."""
    command = ["redis-cli", "-p", str(redis.port), *map(str, words)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    return answer.stdout.strip()


def under_load(cluster, fault, *, redis_loses=False, addresses=None, **options):
    """Runs a load, has `fault(load)` break something; waits until all clients hear again.

    `fault` returns when it was mended, or none for now. The account is printed, and holds.
    """

    async def story():
        addressed = addresses or [node.address for node in cluster.nodes]
        async with Load(addressed, **options) as load:
            await load.recovers(time.monotonic() + 0.5)
            since = await fault(load) or time.monotonic()
            seconds = await load.recovers(since)
            # Once more, and a little on: what breaks late is to be seen, too.
            await load.recovers(time.monotonic() + (10 if LONG else 1.5))
            account = await load.settle(redis_loses=redis_loses)
            account.seconds = seconds
            return account

    account = asyncio.run(story())
    print(f"\n{fault.__name__}: all clients hear again after {account.seconds:.2f} s", end="; ")
    return account.holds()


async def for_a_while(load, seconds):
    """Something lasts so long; the load goes on meanwhile."""
    await load.pause(seconds)


async def until_ready(load, node):
    """Waits until a node that was launched is ready."""
    await load.until(node.is_ready, lambda: f"{node.name} is ready: {node.said()}")


@contextlib.contextmanager
def busy(redis):
    """Redis runs a script that doesn't end by itself."""
    command = ["redis-cli", "-p", str(redis.port), "EVAL", "while true do end", "0"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield
    finally:
        running.kill()
        running.communicate()
