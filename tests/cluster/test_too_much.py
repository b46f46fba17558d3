"""Other programs say too much through Redis: what it costs a node in work and lines is bounded."""

import json

from faults import ask_redis
from node import SECONDS, until

# How often one kind of line may stand in a log of some seconds: once, and its end with it.
LINES = 2


def push_many(cluster, user, text, count):
    """Pushes the same text so many times."""
    script = """
        for n = 1, tonumber(ARGV[2]) do redis.call('RPUSH', KEYS[1], ARGV[1]) end
        return redis.call('LLEN', KEYS[1])
    """
    key = f"websocket:queue:{user}"
    assert ask_redis(cluster.redis, "EVAL", script, 1, key, text, count) == str(count)


def test_a_queue_into_which_others_push_without_end_holds_what_any_queue_does(
    shared, hubs, join_hub, fresh
):
    user = fresh("zoe")
    plain = {"type": "user", "target_ids": [user], "data": "again"}
    push_many(shared, user, json.dumps(plain), 100_000)
    assert hubs[0].publish(plain | {"data": "real"}).status == 200
    person = join_hub(hubs[1], user)
    assert (person.connected["pending"], person.connected["missed"]) == (100, 99_901)
    assert sorted(person.hear_data(100)) == ["again"] * 99 + ["real"]


def test_a_look_bounds_what_others_have_pushed_by_number_and_by_bytes(
    shared, hubs, join_hub, fresh
):
    for count, size, pending in ((100_000, 1, 100), (50, 100_000, 10)):
        user = fresh(f"zoe{size}")
        plain = {"type": "user", "target_ids": [user], "data": "x" * size}
        push_many(shared, user, json.dumps(plain), count)
        person = join_hub(hubs[1], user)
        told = (person.connected["pending"], person.connected["missed"])
        assert told == (pending, count - pending)
        assert person.hear_data(pending) == ["x" * size] * pending
        assert hubs[1].get("/health").json["status"] == "healthy"


def test_a_message_on_the_channel_is_as_large_as_any_may_be(shared, hubs, join_hub, fresh):
    person = join_hub(hubs[0], fresh("ann"))
    say = """
        for _, size in ipairs({tonumber(ARGV[2]), 10}) do
            local said = string.gsub(ARGV[1], 'XX', string.rep('x', size))
            redis.call('PUBLISH', KEYS[1], said)
        end
    """
    said = json.dumps({"type": "user", "target_ids": [person.user], "data": "XX"})
    ask_redis(shared.redis, "EVAL", say, 1, "websocket:broadcast", said, 512 * 1024)
    assert person.hear("user")["data"] == "x" * 10


def lines_of(hub, words):
    return hub.part.said().count(words)


def test_a_redis_that_comes_and_goes_does_not_flood_a_log(start_cluster):
    cluster = start_cluster(nodes=1)
    (hub,) = cluster.hubs
    for _ in range(10):
        ask_redis(cluster.redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert until(lambda: hub.publish({"type": "broadcast", "data": 1}).status == 200)
    assert lines_of(hub, "Redis is away") <= LINES
    assert lines_of(hub, "Redis is there") <= LINES + 1


def test_what_is_no_entry_of_the_log_does_not_flood_a_log(start_cluster):
    cluster = start_cluster(nodes=1)
    (hub,) = cluster.hubs
    lives = hub.publish({"type": "broadcast", "data": 1}).json["cursor"].split(".")[0]
    for number in range(10):
        ask_redis(cluster.redis, "XADD", "websocket:log", "*", "who", "cares")
        later = str(int(lives) + number + 1)
        assert until(
            lambda later=later: (
                hub.publish({"type": "broadcast", "data": 1})
                .json.get("cursor", "")
                .startswith(f"{later}.")
            )
        )
    for words in ("has lost what the log held", "has begun another life", "Redis is away"):
        assert 1 <= lines_of(hub, words) <= LINES, words


def test_nodes_that_never_were_have_one_line_together(start_cluster):
    cluster = start_cluster(nodes=1)
    (hub,) = cluster.hubs
    script = """
        for n = 1, 5000 do redis.call('HSET', KEYS[1], string.format('%016x', n), 'x') end
    """
    ask_redis(cluster.redis, "EVAL", script, 1, "websocket:nodes")
    counted = ("HLEN", "websocket:nodes")
    assert until(lambda: ask_redis(cluster.redis, *counted) == "1", 3 * SECONDS), "they are reaped"
    assert 1 <= lines_of(hub, "is no more") <= LINES
    assert hub.get("/health").json["status"] == "healthy"


def test_a_log_names_the_reason_for_which_redis_is_away_now(start_cluster):
    cluster = start_cluster(nodes=1)
    (hub,) = cluster.hubs
    ask_redis(cluster.redis, "CONFIG", "SET", "requirepass", "secret")
    ask_redis(cluster.redis, "-a", "secret", "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert until(lambda: lines_of(hub, "wants a password") > 0, 3 * SECONDS)
    assert lines_of(hub, "Redis is away") == LINES
