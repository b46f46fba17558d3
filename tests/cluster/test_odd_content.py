"""Whatever a name or a message may hold comes out at another node as it went in."""

import json
import re
from urllib.parse import quote

import pytest
from faults import ask_redis
from node import until

# What means something to JSON, Lua, patterns, formats, URLs or Redis' names; as long as it may be.
NAMES = [
    "'\"\\",
    '","x":"',
    "\\u0041\\n",
    "%s%d%n%00",
    "a:b:{c}",
    "{}[]()*?",
    "]] .. [[ --",
    "$1 ${x} `y`",
    " a  b ",
    "ü\u00a0\u2028\u200f\ufeff",
    "👩‍👩‍👧🏳️‍🌈",
    "null",
    "1e999",
    "-1",
    "..",
    "a/b?c#d&e=f+g",
    "é" * 64,
    "\\" * 128,
    '"' * 128,
]

# Each is JSON, and each is to come out byte for byte.
DATA = [
    "null",
    "1e999",
    "-0.0",
    "123456789012345678901234567890.000",
    '"\\u0041\\u00e9\\ud83d\\ude00 \\ud800 é😀\\/\\b"',
    '"\\u0000"',
    '"}}"',
    '"\\\\\\""',
    '{ "a" :\t[ 1 ,2 ]\n, "a":2 }',
    "[\r\n ]",
    "[" * 100 + "]" * 100,
    '{"cursor":"1.a:0:1-1","timestamp":1,"message":{}}',
    '"%s %d \u2028\u007f"',
]


def raw_data(text):
    """The bytes of `data`, which is the last field."""
    found = re.search(r'"data":(.*)\}\s*$', text, re.S)
    return found and found[1]


def message(type, data, **fields):  # noqa: A002 - the contract's own word
    """A message whose data is this text, spaces around it included."""
    head = json.dumps({"type": type, **fields})[:-1]
    return f'{head}, "data": {data} }}'.encode()


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_the_same_on_every_node(shared, hubs, join_hub, fresh, name):
    here, there = join_hub(hubs[0], name), join_hub(hubs[1], name)
    joined = here.join(name, presence=True)
    assert joined["users"] == [name]
    there.join(name)
    assert hubs[2].publish({"type": "room", "room_id": name, "data": 1}).status == 200
    for person in (here, there):
        heard = person.hear("room")
        assert (heard["room_id"], heard["data"]) == (name, 1)
    here.send("user", target_ids=[name], data=2, id="odd-" + fresh("")[1:])
    assert sorted(here.hear()["type"] for _ in "12") == ["ack", "user"]
    heard = there.hear("user")
    assert (heard["from"], heard["data"]) == (name, 2)
    path = quote(name, safe="")
    known = hubs[2].get(f"/rooms/{path}").json
    assert (known["room_id"], known["users"]) == (name, [name])
    known = hubs[2].get(f"/users/{path}").json
    assert (known["user_id"], len(known["connections"])) == (name, 2)
    assert all(one["rooms"] == [name] for one in known["connections"])
    assert here.is_served()
    assert there.is_served()


@pytest.mark.parametrize("name", NAMES)
def test_what_waits_for_any_name_is_given_on_another_node_and_then_gone(
    shared, hubs, join_hub, name
):
    for hub in (*hubs, hubs[0]):
        assert hub.publish({"type": "user", "target_ids": [name], "data": hub.port}).status == 200
    person = join_hub(hubs[1], name)
    assert person.connected["pending"] == 4
    assert person.hear_data(4) == [hub.port for hub in (*hubs, hubs[0])]
    assert until(lambda: ask_redis(shared.redis, "EXISTS", f"websocket:queue:{name}") == "0"), (
        "its receipts came"
    )


@pytest.mark.parametrize("data", DATA)
def test_data_comes_out_of_log_queue_and_channels_byte_for_byte(
    shared, hubs, join_hub, come_back, fresh, data
):
    room, user = fresh("room"), fresh("ann")
    person = join_hub(hubs[1], user)
    person.join(room)
    for ephemeral in (False, True):
        sent = message("room", data, room_id=room, ephemeral=ephemeral)
        answer = hubs[0].publish(sent)
        assert answer.status == 200, answer.body
        assert raw_data(person.hear_text()) == data
    channel = message("room", data, room_id=room).decode()
    assert ask_redis(shared.redis, "PUBLISH", "websocket:broadcast", channel) == "3"
    assert raw_data(person.hear_text()) == data
    person.close()
    assert hubs[0].publish(message("user", data, target_ids=[user])).status == 200
    plain = message("user", data, target_ids=[user]).decode()
    ask_redis(shared.redis, "RPUSH", f"websocket:queue:{user}", plain)
    fresh_one = join_hub(hubs[2], user)
    assert fresh_one.connected["pending"] == 2
    assert [raw_data(fresh_one.hear_text()) for _ in "12"] == [data, data]
    fresh_one.send("join", room_id=room, history=1)
    (old,) = re.findall(r'"history":\[(.*)\],"history_complete', fresh_one.hear_text(), re.S)
    assert raw_data(old) == data
