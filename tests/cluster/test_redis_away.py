"""A node without Redis: how it starts, what it answers, and how its clients get all of it."""

import contextlib
import time

import pytest
from conftest import Hub
from faults import ask_redis
from local_cluster import Node, Redis
from node import SECONDS, until

# What a publisher is promised: an answer at once where the loss is known, else within two seconds.
KNOWN_MS, UNKNOWN_MS = 100, 2_000


@pytest.fixture
def redis(tmp_path):
    server = Redis(tmp_path / "redis", "--save", "", "--appendonly", "yes")
    yield server
    server.go_on() if server.runs() else None
    server.kill()


@pytest.fixture
def start_node(tmp_path, redis):
    with contextlib.ExitStack() as nodes:

        def start(name, *settings):
            node = Node(name, tmp_path / name, redis.address, *settings)
            nodes.callback(node.kill)
            return Hub(node.launch())

        yield start


def ready(hub):
    assert until(hub.part.is_ready), hub.part.said()
    return hub


def status(hub):
    return hub.get("/health").json["status"]


def publish_to(hub, user, **fields):
    return hub.publish({"type": "user", "target_ids": [user], "data": 1} | fields)


def test_a_node_that_needs_redis_does_not_start_without_it(start_node, redis):
    hub = start_node("n1")
    assert hub.part.wait(SECONDS) in (1, 2)
    [line] = hub.part.said().splitlines()
    assert redis.address in line, line
    assert "panicked" not in line


def test_a_node_that_can_do_without_redis_starts_degraded_and_goes_on_when_it_is_there(
    start_node, redis, join_hub
):
    hub = ready(start_node("n1", "redis.required=false"))
    health = hub.get("/health")
    assert (health.status, health.json["status"]) == (503, "degraded")
    assert health.json["reason"]
    assert publish_to(hub, "ann").code == "unavailable"
    person = join_hub(hub, "ann")
    connected = person.connected
    assert (connected["degraded"], connected["resumed"], connected["pending"]) == (True, False, 0)
    redis.start()
    assert person.hear("reset", patience=2 * SECONDS)["reason"]
    assert until(lambda: status(hub) == "healthy")
    assert publish_to(hub, "ann").status == 200
    assert person.hear("user")["data"] == 1


def test_who_connects_while_redis_is_away_is_given_what_waits_when_it_is_back(
    start_node, redis, join_hub
):
    redis.start()
    first, second = ready(start_node("n1")), ready(start_node("n2"))
    assert publish_to(first, "zoe", data="waits").status == 200
    redis.kill()
    assert until(lambda: status(second) == "degraded")
    person = join_hub(second, "zoe")
    assert person.connected["degraded"] is True
    redis.start()
    person.hear("reset", patience=2 * SECONDS)
    assert person.hear("user", patience=2 * SECONDS)["data"] == "waits"


def test_connections_stay_while_redis_is_away_and_publishes_are_refused_at_once(
    start_node, redis, join_hub
):
    redis.start()
    hub = ready(start_node("n1"))
    person = join_hub(hub, "ann")
    redis.kill()
    assert until(lambda: publish_to(hub, "ann").status != 200)
    assert until(lambda: status(hub) == "degraded")
    assert hub.get("/ready").status == 200, "its clients are better off staying"
    took = []
    for number in range(20):
        began = time.monotonic()
        answer = publish_to(hub, "ann", id=f"m{number}")
        took.append((time.monotonic() - began) * 1000)
        assert (answer.status, answer.code) == (503, "unavailable")
        assert answer.headers["Retry-After"]
        person.send("broadcast", data=1, id=f"s{number}")
        assert person.hear_error("unavailable")["id"] == f"s{number}"
    print(f"\nrefused within {max(took):.0f} ms (promised: {KNOWN_MS} ms)")
    assert person.is_served()
    redis.start()
    assert until(lambda: publish_to(hub, "ann", id="m0").status == 200)
    assert person.hear("user")["id"] == "m0"


def test_a_publish_that_redis_never_answers_ends_as_unknown_and_may_be_repeated(
    start_node, redis, join_hub
):
    redis.start()
    hub = ready(start_node("n1"))
    person = join_hub(hub, "ann")
    redis.pause()
    began = time.monotonic()
    answer = publish_to(hub, "ann", id="once")
    print(f"\nanswered after {time.monotonic() - began:.2f} s (promised: {UNKNOWN_MS} ms)")
    assert (answer.status, answer.code) in ((504, "outcome_unknown"), (503, "unavailable"))
    redis.go_on()
    assert until(lambda: publish_to(hub, "ann", id="once").status == 200, 2 * SECONDS)
    assert person.hear("user")["id"] == "once"
    assert person.is_served(), "it came once"


def test_a_node_that_starts_loads_the_log_before_it_takes_clients(start_node, redis, join_hub):
    redis.start()
    first = ready(start_node("n1"))
    person = join_hub(first, "ann")
    publish_to(first, "bob")
    publish_to(first, "ann", data="mark")
    person.hear("user")
    person.close()
    for number in range(300):
        assert publish_to(first, "ann", data=number, id=f"m{number}").status == 200
    second = ready(start_node("n2"))
    again = join_hub(
        second,
        "ann",
        asks={"after": person.cursor, "session_id": person.connected["session_id"]},
    )
    assert again.connected["resumed"] is True
    assert [again.hear("user")["data"] for _ in range(300)] == list(range(300))


def test_entries_of_a_later_format_are_stepped_over(start_node, redis, join_hub):
    redis.start()
    hub = ready(start_node("n1"))
    person = join_hub(hub, "ann")
    # The next place of the log, taken by a node of a later version.
    script = """
        local log, meta = KEYS[1], KEYS[2]
        local epoch, last = unpack(redis.call('HMGET', meta, 'epoch', 'end'))
        local place = string.match(epoch, '^%d+') .. '-' .. (tonumber(last) + 1)
local entry = '2 ' .. epoch .. ' ' .. last .. ' in other words'
        redis.call('XADD', log, place, 'e', entry, 'new', 'field')
        return redis.call('HINCRBY', meta, 'end', 1)
    """
    for number in range(3):
        assert ask_redis(redis, "EVAL", script, 2, "websocket:log", "websocket:meta").isdigit()
        assert publish_to(hub, "ann", data=number).status == 200
        assert person.hear("user")["data"] == number
    fresh = ready(start_node("n2"))
    known = {"after": person.connected["cursor"], "session_id": person.connected["session_id"]}
    again = join_hub(fresh, "ann", asks=known)
    assert again.connected["resumed"] is True
    assert [again.hear("user")["data"] for _ in range(3)] == [0, 1, 2]
