"""Other programs speak through Redis: what makes sense is delivered, garbage is ignored."""

import json

from faults import ask_redis
from node import until

GARBAGE = [
    "",
    "{",
    "null",
    "[]",
    '{"type":"broadcast"}',
    '{"type":"room","data":1}',
    "\x00\x01",
    '{"say":"ask"}',
]
CHANNELS = ("broadcast", "ephemeral", "control")


def say(cluster, message, channel="broadcast"):
    text = message if isinstance(message, str) else json.dumps(message)
    return ask_redis(cluster.redis, "PUBLISH", f"websocket:{channel}", text)


def test_what_another_program_says_on_the_channel_reaches_who_is_there(
    shared, hubs, join_hub, fresh
):
    room = fresh("room")
    people = [
        join_hub(hub, fresh(name)) for hub, name in zip(hubs, ("ann", "bob", "cy"), strict=True)
    ]
    for person in people:
        person.join(room)
    assert say(shared, {"type": "room", "room_id": room, "data": 7, "target_ids": None}) == "3"
    for person in people:
        heard = person.hear("room")
        assert (heard["data"], heard["from"], "cursor" in heard) == (7, "", False)
    say(shared, {"type": "user", "target_ids": [people[1].user], "room_id": "", "data": 8})
    assert people[1].hear("user")["data"] == 8
    assert all(person.is_served() for person in people), "each of them came once"


def test_garbage_on_the_channels_does_no_harm(shared, hubs, join_hub, fresh):
    person = join_hub(hubs[1], fresh("ann"))
    for text in [*GARBAGE, "x" * 1_000_000, "[" * 200_000]:
        for channel in CHANNELS:
            say_raw(shared, text, channel)
    say(shared, {"type": "user", "target_ids": [person.user], "data": "still there"})
    assert person.hear("user")["data"] == "still there"
    for hub in hubs:
        assert hub.get("/health").json["status"] == "healthy"
        assert "panicked" not in hub.part.said()


def say_raw(cluster, text, channel):
    """By standard input, which carries what an argument can't."""
    if "\x00" in text or len(text) > 100_000:
        text = text.replace("\x00", "\\x00")
        script = "return redis.call('PUBLISH', KEYS[1], string.rep(ARGV[1], ARGV[2]))"
        ask_redis(cluster.redis, "EVAL", script, 1, f"websocket:{channel}", text[:1], len(text))
    else:
        say(cluster, text, channel)


def test_a_plain_message_in_a_queue_is_given_without_a_place_and_once(
    shared, hubs, join_hub, fresh
):
    user = fresh("zoe")
    plain = {"type": "user", "target_ids": [user], "data": "from elsewhere"}
    ask_redis(shared.redis, "RPUSH", f"websocket:queue:{user}", json.dumps(plain))
    first = join_hub(hubs[0], user)
    assert first.connected["pending"] == 1
    heard = first.hear("user")
    assert (heard["data"], "cursor" in heard) == ("from elsewhere", False)
    # It goes with the next receipt.
    hubs[1].publish(plain | {"data": "next"})
    assert first.hear("user")["data"] == "next"
    assert first.is_served()
    first.close()
    assert until(lambda: join_hub(hubs[2], user).connected["pending"] == 0)


def test_garbage_in_a_queue_is_passed_over(shared, hubs, join_hub, fresh):
    user = fresh("zoe")
    ask_redis(
        shared.redis,
        "RPUSH",
        f"websocket:queue:{user}",
        *[text or "-" for text in GARBAGE[1:6]],
        '{"cursor":5}',
    )
    assert hubs[0].publish({"type": "user", "target_ids": [user], "data": "real"}).status == 200
    person = join_hub(hubs[1], user)
    assert person.connected["pending"] == 1
    assert person.hear("user")["data"] == "real"
    assert person.is_served()


def test_a_key_of_another_type_is_refused_by_name_and_breaks_nothing_else(
    shared, hubs, join_hub, fresh
):
    user, other = fresh("zoe"), join_hub(hubs[1], fresh("ann"))
    ask_redis(shared.redis, "SET", f"websocket:queue:{user}", "in the way")
    refused = hubs[0].publish({"type": "user", "target_ids": [user], "data": 1})
    assert refused.code == "internal"
    assert hubs[0].publish({"type": "user", "target_ids": [other.user], "data": 2}).status == 200
    assert other.hear("user")["data"] == 2
