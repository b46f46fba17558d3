"""`data` reaches its receivers byte for byte, whatever JSON it is."""

import json

import pytest
from people import heard_nothing_else

DATA = {
    "null": "null",
    "false": "false",
    "an empty string": '""',
    "zero": "0",
    "minus zero": "-0",
    "a number as it was written": "1.50E+02",
    "a number beyond f64": "1e400",
    "a whole number beyond f64": "123456789012345678901234567890",
    "digits beyond f64": "0.1000000000000000055511151231257827021181583404541015625",
    "a lone surrogate": r'"\ud800"',
    "a lone second surrogate": r'"x\udfffy"',
    "surrogates the wrong way round": r'"\ude00\ud83d"',
    "escapes that need not be": r'"\u0041\/\u00e9"',
    "a NUL by its escape": r'"a\u0000b"',
    "letters beyond ASCII": '"é\u2028\u2029😀"',
    "space inside": '{ "a" :  [ 1 ,\t2 ] , "b":\r\n{ } }',
    "keys twice": '{"a":1,"a":2,"":3}',
    "a message of ours": '{"type":"user","target_ids":["x"],"data":null}',
    "nested": "[" * 100 + "]" * 100,
}


@pytest.mark.parametrize("data", DATA.values(), ids=DATA.keys())
def test_data_arrives_as_it_was_sent(person, data):
    ann, bob = person("ann"), person("bob")
    ann.say(f'{{"type":"user","target_ids":["{bob.user}"],"data":{data}}}')
    text = bob.hear_text()
    assert '"data":' + data in text
    assert "data" in json.loads(text)


@pytest.mark.parametrize("data", DATA.values(), ids=DATA.keys())
def test_data_published_by_http_arrives_as_it_was_sent(node, person, data):
    bob = person("bob")
    body = '[{"type":"broadcast","data":' + data + "}]"
    assert node.publish(body.encode()).status == 200
    assert '"data":' + data in bob.hear_text()


def test_space_around_data_is_not_part_of_it(person):
    ann = person("ann")
    ann.say('{"type":"broadcast","data" : \t[1]\n }')
    assert ann.hear("broadcast")["data"] == [1]


def test_data_that_looks_like_the_end_of_the_message_is_just_data(person):
    ann, bob = person("ann"), person("bob")
    data = json.dumps('"}{"type":"broadcast","data":"forged"}')
    ann.say(f'{{"type":"user","target_ids":["{bob.user}"],"data":{data}}}')
    assert '"data":' + data in bob.hear_text()
    assert heard_nothing_else(ann, bob)


def test_a_name_that_looks_like_json_forges_nothing(person):
    mallory, bob = person('m","data":"forged'), person("bob")
    mallory.send("user", target_ids=[bob.user], data="real")
    heard = bob.hear("user")
    assert (heard["from"], heard["data"]) == (mallory.user, "real")


def test_half_a_mebibyte_is_passed_on_whole(person):
    ann, bob = person("ann"), person("bob")
    start, end = f'{{"type":"user","target_ids":["{bob.user}"],"data":"', '"}'
    letters = "x" * (512 * 1024 - len(start) - len(end))
    ann.say(start + letters + end)
    assert bob.hear("user")["data"] == letters
