"""Messages that are not as they should be: an error that says so, and the connection stays."""

import json

import pytest

NOT_JSON = [
    "",
    " ",
    "hello",
    "{",
    '{"type":"ping"',
    '{"type":"ping"}}',
    '{"type":"ping"} {"type":"ping"}',
    '{"type":"ping",}',
    "{'type':'ping'}",
    '{type:"ping"}',
    '{"type":"broadcast","data":01}',
    '{"type":"broadcast","data":+1}',
    '{"type":"broadcast","data":.5}',
    '{"type":"broadcast","data":1.}',
    '{"type":"broadcast","data":NaN}',
    '{"type":"broadcast","data":nul}',
    '{"type":"broadcast","data":[1,]}',
    '{"type":"broadcast","data":[1}',
    '{"type":"broadcast","data":"\\x41"}',
    '{"type":"broadcast","data":"\\ud8"}',
    '{"type":"broadcast","data":"a\nb"}',
    '{"type":"broadcast","data":"a\x00b"}',
    '{"type":"broadcast","data":}',
    '{"type":"broadcast" "data":1}',
]

NOT_A_MESSAGE = [
    "null",
    "1",
    '"ping"',
    "[]",
    '[{"type":"ping"}]',
    "{}",
    '{"data":1}',
    '{"type":1}',
    '{"type":null}',
    '{"type":["ping"]}',
    '{"type":"ping","type":"ping"}',
    '{"type":"broadcast","data":1,"data":1}',
    '{"type":"broadcast","data":1,"d\\u0061ta":2}',
    '{"type":"broadcast"}',
    '{"type":"broadcast","data":1,"id":1}',
    '{"type":"broadcast","data":1,"id":""}',
    '{"type":"broadcast","data":1,"id":"a b"}',
    '{"type":"broadcast","data":1,"id":"a:b"}',
    '{"type":"broadcast","data":1,"id":"é"}',
    '{"type":"broadcast","data":1,"id":"a\\u007fb"}',
    '{"type":"broadcast","data":1,"id":"' + "i" * 65 + '"}',
    '{"type":"user","data":1}',
    '{"type":"user","data":1,"target_ids":null}',
    '{"type":"user","data":1,"target_ids":"bob"}',
    '{"type":"user","data":1,"target_ids":[]}',
    '{"type":"user","data":1,"target_ids":[1]}',
    '{"type":"user","data":1,"target_ids":["bob",null]}',
    '{"type":"user","data":1,"target_ids":[""]}',
    '{"type":"user","data":1,"target_ids":["a\\u0000b"]}',
    '{"type":"user","data":1,"target_ids":["' + "u" * 129 + '"]}',
    '{"type":"user","target_ids":["bob"]}',
    json.dumps({"type": "user", "data": 1, "target_ids": [f"u{i}" for i in range(101)]}),
    '{"type":"room","data":1}',
    '{"type":"room","room_id":"r"}',
    '{"type":"room","room_id":1,"data":1}',
    '{"type":"room","room_id":"","data":1}',
    '{"type":"room","room_id":"r","room_id":"r","data":1}',
    '{"type":"join"}',
    '{"type":"join","room_id":null}',
    '{"type":"join","room_id":""}',
    '{"type":"join","room_id":"' + "r" * 129 + '"}',
    '{"type":"join","room_id":"' + "ü" * 65 + '"}',
    '{"type":"join","room_id":"a\\nb"}',
    '{"type":"join","room_id":"a\\u001fb"}',
    '{"type":"join","room_id":"a\x7fb"}',
    '{"type":"leave"}',
    '{"type":"leave","room_id":["r"]}',
]


def named(texts):
    return [text if len(text) < 60 else text[:57] + "..." for text in map(repr, texts)]


@pytest.mark.parametrize("text", NOT_JSON, ids=named(NOT_JSON))
def test_what_is_not_json_is_invalid_json(person, text):
    ann = person("ann")
    ann.say(text)
    ann.hear_error("invalid_json")
    assert ann.is_served()


@pytest.mark.parametrize("text", NOT_A_MESSAGE, ids=named(NOT_A_MESSAGE))
def test_json_that_is_no_message_is_an_invalid_message(person, text):
    ann = person("ann")
    ann.say(text)
    ann.hear_error("invalid_message")
    assert ann.is_served()


@pytest.mark.parametrize("to", ["nobody", 1, ["all"]])
def test_a_message_goes_to_all_or_to_others(person, to):
    ann = person("ann")
    ann.send("broadcast", data=1, to=to)
    ann.hear_error("invalid_message")


@pytest.mark.parametrize("type_", ["shout", "Broadcast", "connected", "pong", "ping "])
def test_an_unknown_type_is_said_to_be_unknown(person, type_):
    ann = person("ann")
    ann.send(type_, data=1)
    ann.hear_error("unknown_type")
    assert ann.is_served()


DEEP = 100_000


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ('{"type":"broadcast","data":' + "[" * 200 + "]" * 200 + "}", {"too_deep"}),
        ('{"type":"broadcast","data":' + "[" * DEEP + "]" * DEEP + "}", {"too_deep"}),
        ('{"type":"broadcast","data":' + '{"a":' * 80_000 + "1" + "}" * 80_000 + "}", {"too_deep"}),
        ('{"type":"ping","other":' + "[" * DEEP + "]" * DEEP + "}", {"too_deep"}),
        ('{"type":"broadcast","data":' + "[" * DEEP, {"too_deep", "invalid_json"}),
        ("[" * DEEP, {"too_deep", "invalid_json", "invalid_message"}),
        ("[" * DEEP + "]" * DEEP, {"too_deep", "invalid_message"}),
    ],
    ids=[
        "200 arrays",
        "arrays",
        "objects",
        "in a field of no use",
        "left open",
        "only open",
        "no object",
    ],
)
def test_nesting_without_end_is_refused_and_the_connection_stays(person, text, codes):
    ann = person("ann")
    ann.say(text)
    assert ann.hear("error")["code"] in codes
    assert ann.is_served()


def test_an_id_that_cannot_be_utf8_is_refused(person):
    ann = person("ann")
    ann.say(r'{"type":"join","room_id":"\ud800"}')
    assert ann.hear("error")["code"] in {"invalid_message", "invalid_json"}
    assert ann.is_served()


def test_a_binary_message_that_is_not_utf8_is_refused_and_the_connection_stays(person):
    ann = person("ann")
    ann.say(b'{"type":"broadcast","data":"\xff"}')
    assert ann.hear("error")["code"] in {"invalid_message", "invalid_json"}
    assert ann.is_served()


def test_an_error_names_the_id_and_the_room_of_the_request(person):
    ann = person("ann")
    ann.say('{"type":"room","id":"mine","room_id":"kitchen"}')
    message = ann.hear_error("invalid_message")
    assert (message["id"], message["room_id"]) == ("mine", "kitchen")


def test_a_refused_message_reaches_nobody(person):
    ann, bob = person("ann"), person("bob")
    ann.send("user", target_ids=[bob.user, ""], data="x")
    ann.hear_error("invalid_message")
    ann.send("user", target_ids=[bob.user], data="after it")
    assert bob.hear("user")["data"] == "after it"


def test_a_hundred_bad_messages_get_a_hundred_errors_in_order(person):
    ann = person("ann")
    for _ in range(50):
        ann.say("{")
        ann.say("[]")
    heard = [ann.hear("error")["code"] for _ in range(100)]
    assert heard == ["invalid_json", "invalid_message"] * 50
