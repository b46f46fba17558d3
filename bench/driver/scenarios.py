"""What is run for each scenario: servers in turn, so that a figure is held against one of the
same minute."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

# Clients: messages with 1 in flight; with 64 in flight of the bare server, of wshub. The bare
# server pays for each message alone, so few are enough; wshub's are more, to last about as long.
FANOUT = {1_000: (300, 400, 6_400), 5_000: (60, 128, 1_280), 19_000: (20, 96, 340)}
ROOM, DEFLATE = 5_000, 5_000
ROOMS, MEMBERS, SHARDS = 1_000_000, 19_000, 8
TARGETS, CALLS = 1_000, 100_000
SMALL, BIG, VISITORS = 10, 10_000, 50
BROADCAST, SPEECH = (
    512 * 1024 - 256,
    64,
)  # bytes of data; a message of 512 KiB includes its envelope
PASSED = (1_000, 100_000, 1_000_000)  # messages to others, while somebody was away


@dataclass(frozen=True)
class Run:
    """One server, loaded once."""

    server: str
    variant: str
    load: list[str]
    settings: tuple[str, ...] = ()  # as of `--set`
    shards: int = 1
    nodes: int = 0  # of a cluster over Redis; with 0 it is one by itself


@dataclass(frozen=True)
class Scenario:
    """A question, and the runs of a round that answer it."""

    told: str
    runs: Callable[[], Iterator[Run]]
    clients: int


def fanout():
    for clients, (alone, bare, wshub) in FANOUT.items():
        for server, many in (("bare", bare), ("wshub", wshub)):
            yield Run(server, str(clients), spread(clients, alone, many))


def room():
    yield Run("wshub", "room", ["room", *options(clients=ROOM)])


def rooms():
    """On one shard, and on as many as put nearly every room on two of them."""
    load = ["rooms", *options(clients=MEMBERS, rooms=ROOMS)]
    for shards in (1, SHARDS):
        yield Run("wshub", f"{shards} shards", load, shards=shards)


def deflate():
    plain = [*spread(DEFLATE, 60, 400), "--size", "1024", "--records"]
    yield Run("wshub", "off", plain)
    yield Run("wshub", "on", [*plain, "--deflate"])


def users():
    yield Run("wshub", "many", ["users"])
    yield Run("wshub", "one", ["users", "--one-each"])


def churn():
    yield Run(
        "wshub",
        "rooms",
        ["churn", *options(small=SMALL, big=BIG, visitors=VISITORS, blocks=3)],
    )


def quiet():
    for noise, size in (("broadcast", BROADCAST), ("room", SPEECH)):
        yield Run("wshub", noise, ["quiet", *options(noise=noise, noise_size=size, rounds=1)])


def resume():
    """In a log that forgets nothing meanwhile."""
    passed = ",".join(map(str, PASSED))
    settings = ("log.bytes=1GiB", "log.retention=1h")
    yield Run("wshub", "users", ["resume", *options(passed=passed)], settings)


def storm():
    yield Run("wshub", "users", ["storm"])


def receipts():
    """Each message for one user, in arrays of a hundred; or one message for a hundred."""
    paced = options(clients=1_000, rates="10,50", seconds=1.5, blocks=2)
    yield Run("wshub", "one", ["receipts", *paced])
    yield Run("wshub", "hundred", ["receipts", *paced, *options(targets=100, batch=1)])


def crossing():
    """On one node by itself, and from one node of a cluster to another."""
    for nodes, told in ((0, "one node"), (2, "two nodes")):
        yield Run("wshub", told, ["crossing"], nodes=nodes)


def publishing():
    """What Redis alone gives of the script, then a node over it."""
    for to, users in (("room", 0), ("users", TARGETS)):
        yield Run("redis", to, [to, str(CALLS)])
        yield Run("wshub", to, ["publishing", *options(users=users)], nodes=1)


def tailing():
    yield Run("wshub", "log", ["tailing"], nodes=1)


def failover():
    yield Run("wshub", "users", ["storm"], nodes=2)


def spread(clients, alone, many):
    return ["fanout", *options(clients=clients, in_flight="1,64", messages=f"{alone},{many}")]


def options(**values):
    return [
        word for key, value in values.items() for word in (f"--{key.replace('_', '-')}", str(value))
    ]


SCENARIOS = {
    "fanout": Scenario("a broadcast to 1,000, 5,000 and 19,000 clients", fanout, max(FANOUT)),
    "room": Scenario("messages to a room of 5,000, beside broadcasts", room, ROOM),
    "rooms": Scenario("a million rooms of 2 members", rooms, MEMBERS),
    "deflate": Scenario("1 KiB of JSON to 5,000 clients, deflated and not", deflate, DEFLATE),
    "users": Scenario("arrays of messages to single users", users, 5_000),
    "churn": Scenario("join and leave in a room of 10 and of 10,000", churn, BIG + VISITORS),
    "quiet": Scenario("1,000 quiet users beside a big broadcast and a hot room", quiet, 1_100),
    "resume": Scenario("100 missed messages, while 1,000 to 1,000,000 others passed", resume, 500),
    "storm": Scenario("5,000 clients that resume at once", storm, 5_000),
    "receipts": Scenario("messages to users with receipts, beside broadcasts", receipts, 1_000),
    "crossing": Scenario("1,000 messages a second from node to node over Redis", crossing, 1),
    "publishing": Scenario("acknowledged publishes to a node over Redis", publishing, TARGETS),
    "tailing": Scenario("a node reads a log in Redis that is for others", tailing, 1),
    "failover": Scenario("5,000 clients resume on another node at once", failover, 5_000),
}


def most_clients(name):
    return SCENARIOS[name].clients
