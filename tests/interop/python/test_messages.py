"""Broadcasts, messages to users, acknowledgements: who hears what, and in which form."""

import json
import re
import time

import pytest
from people import heard_nothing_else

UUID_V7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def test_a_broadcast_reaches_everybody_the_sender_included(person):
    ann, bob, second = person("ann"), person("bob"), person("bob")
    ann.send("broadcast", data={"text": "hello"})
    heard = [someone.hear("broadcast") for someone in (ann, bob, second)]
    assert heard[0] == heard[1] == heard[2], "one message is one and the same for all"
    assert heard[0]["from"] == ann.user
    assert heard[0]["data"] == {"text": "hello"}
    assert heard[0]["cursor"]
    assert isinstance(heard[0]["timestamp"], int)
    assert abs(heard[0]["timestamp"] - time.time()) < 60
    assert UUID_V7.fullmatch(heard[0]["id"]), heard[0]["id"]


def test_a_broadcast_to_others_spares_the_sending_session_only(person):
    ann, phone, bob = person("ann"), person("ann"), person("bob")
    ann.send("broadcast", data="x", to="others")
    assert phone.hear("broadcast")["data"] == "x"
    assert bob.hear("broadcast")["data"] == "x"
    assert heard_nothing_else(ann, ann)


def test_a_message_to_a_user_reaches_each_connection_of_that_user_and_nobody_else(person):
    ann, bob, phone, carol = person("ann"), person("bob"), person("bob"), person("carol")
    ann.send("user", target_ids=[bob.user], data=1)
    heard = bob.hear("user")
    assert phone.hear("user") == heard
    assert (heard["from"], heard["data"]) == (ann.user, 1)
    assert UUID_V7.fullmatch(heard["id"])
    assert heard["cursor"]
    assert "target_ids" not in heard, "the target list is not disclosed"
    assert heard_nothing_else(ann, ann, bob, phone, carol)


def test_a_message_to_several_users_reaches_each_of_them_once(person):
    ann, bob, carol = person("ann"), person("bob"), person("carol")
    ann.send("user", target_ids=[bob.user, carol.user, bob.user, "nobody-of-this-name"], data="x")
    assert bob.hear("user") == carol.hear("user")
    assert heard_nothing_else(ann, ann, bob, carol)


def test_one_may_write_to_oneself(person):
    ann, phone = person("ann"), person("ann")
    ann.send("user", target_ids=[ann.user], data="note")
    assert ann.hear("user") == phone.hear("user")


def test_a_message_to_others_among_one_self_reaches_the_other_sessions(person):
    ann, phone = person("ann"), person("ann")
    ann.send("user", target_ids=[ann.user], data="note", to="others")
    assert phone.hear("user")["data"] == "note"
    assert heard_nothing_else(ann, ann)


def test_a_message_to_others_is_missed_by_none_of_them(person, come_back):
    ann, phone = person("ann"), person("ann")
    phone.close()
    ann.send("user", target_ids=[ann.user], data="note", to="others", id=ann.user)
    ann.hear("ack")
    ann, phone = come_back(ann), come_back(phone)
    assert ann.connected["session_id"] != phone.connected["session_id"]
    assert phone.hear("user")["data"] == "note"
    assert heard_nothing_else(ann, ann, phone)


def test_by_http_there_is_no_session_to_be_spared(node, person):
    ann = person("ann")
    assert node.publish({"type": "broadcast", "data": "x", "to": "others"}).status == 200
    assert ann.hear("broadcast")["data"] == "x"


def test_a_hundred_targets_are_taken_and_repeats_count_once(person):
    ann, bob = person("ann"), person("bob")
    ann.send("user", target_ids=[f"u{i}" for i in range(99)] + [bob.user] * 50, data="x")
    assert bob.hear("user")["data"] == "x"


def test_messages_of_one_sender_arrive_in_their_order_everywhere(person):
    ann, bob = person("ann"), person("bob")
    for number in range(200):
        ann.send("broadcast", data=number)
    assert [bob.hear("broadcast")["data"] for _ in range(200)] == list(range(200))
    assert [ann.hear("broadcast")["data"] for _ in range(200)] == list(range(200))


def test_all_clients_hear_two_senders_in_one_order(person):
    ann, bob, carol = person("ann"), person("bob"), person("carol")
    for number in range(50):
        ann.send("broadcast", data=f"a{number}")
        bob.send("broadcast", data=f"b{number}")
    heard = [[someone.hear("broadcast")["id"] for _ in range(100)] for someone in (ann, bob, carol)]
    assert heard[0] == heard[1] == heard[2]


def test_each_message_has_a_cursor_of_its_own(person):
    ann = person("ann")
    cursors = set()
    for number in range(10):
        ann.send("broadcast", data=number)
        cursors.add(ann.hear("broadcast")["cursor"])
    assert len(cursors) == 10


def test_a_ping_is_answered(person):
    ann = person("ann")
    ann.say('{"type":"ping"}')
    assert ann.hear() == {"type": "pong"}


def test_a_message_may_come_in_a_binary_frame_and_is_answered_in_text(person):
    ann = person("ann")
    ann.say(b'{"type":"broadcast","data":"x"}')
    assert ann.hear("broadcast")["data"] == "x"


def test_a_publish_with_an_id_is_acknowledged(person):
    ann, bob = person("ann"), person("bob")
    ann.send("broadcast", data="x", id="mine-1")
    answers = {message["type"]: message for message in (ann.hear(), ann.hear())}
    assert answers["ack"]["id"] == answers["broadcast"]["id"] == "mine-1"
    assert answers["ack"]["duplicate"] is False
    assert answers["ack"]["cursor"] == answers["broadcast"]["cursor"]
    assert bob.hear("broadcast")["id"] == "mine-1"


def test_a_publish_without_an_id_is_not_acknowledged(person):
    ann = person("ann")
    for fields in ({}, {"id": None}):
        ann.send("broadcast", data="x", **fields)
        assert ann.hear("broadcast")["data"] == "x"
    assert heard_nothing_else(ann, ann)


def test_a_publish_to_nobody_present_is_acknowledged_too(person):
    ann = person("ann")
    ann.send("user", target_ids=["nobody-of-this-name"], data="x", id="to-nobody")
    assert ann.hear("ack")["id"] == "to-nobody"


@pytest.mark.parametrize("id_", ["!", "~" * 64, "a/b?c#d%20", '"quoted\\'])
def test_an_id_comes_back_as_it_was_sent(person, id_):
    ann = person("ann")
    ann.send("user", target_ids=["nobody-of-this-name"], data="x", id=id_)
    assert ann.hear("ack")["id"] == id_


def test_a_repeat_with_the_same_id_has_no_second_effect(person):
    ann, bob = person("ann"), person("bob")
    for _ in range(2):
        ann.send("user", target_ids=[bob.user], data="x", id="said-twice")
    first, second = ann.hear("ack"), ann.hear("ack")
    assert (first["duplicate"], second["duplicate"]) == (False, True)
    assert first["cursor"] == second["cursor"]
    assert bob.hear("user")["id"] == "said-twice"
    assert heard_nothing_else(ann, ann, bob)


def test_two_users_may_use_the_same_id(person):
    ann, bob = person("ann"), person("bob")
    ann.send("user", target_ids=[bob.user], data="from ann", id="the-same")
    assert bob.hear("user")["from"] == ann.user
    bob.send("user", target_ids=[ann.user], data="from bob", id="the-same")
    assert bob.hear("ack")["duplicate"] is False


def test_the_same_id_with_other_content_is_refused(person):
    ann, bob = person("ann"), person("bob")
    ann.send("user", target_ids=[bob.user], data=1, id="reused")
    assert ann.hear("ack")["duplicate"] is False
    ann.send("user", target_ids=[bob.user], data=2, id="reused")
    assert ann.hear_error("id_reused")["id"] == "reused"
    assert bob.hear("user")["data"] == 1
    assert heard_nothing_else(ann, ann, bob)


def test_fields_that_a_type_does_not_use_are_ignored(person):
    ann = person("ann")
    ann.say('{"type":"broadcast","target_ids":null,"room_id":"","colour":[1,{"a":2}],"data":"x"}')
    assert ann.hear("broadcast")["data"] == "x"
    ann.say('{"room_id":null,"target_ids":"x","type":"ping"}')
    assert ann.hear("pong")


def test_the_order_of_the_fields_and_space_between_them_do_not_matter(person):
    ann = person("ann")
    ann.say(' \r\n{ "data" : "x" ,\t"to" : "all" , "type" : "broadcast" } \n')
    assert ann.hear("broadcast")["data"] == "x"


def test_a_keys_escapes_are_read(person):
    ann = person("ann")
    ann.say(r'{"typ\u0065":"br\u006fadcast","d\u0061ta":"x"}')
    assert ann.hear("broadcast")["data"] == "x"


def test_a_burst_comes_as_one_message_in_each_frame(person):
    ann, bob = person("ann"), person("bob")
    for number in range(100):
        ann.socket.send(json.dumps({"type": "user", "target_ids": [bob.user], "data": number}))
    texts = [bob.hear_text() for _ in range(100)]
    assert [json.loads(text)["data"] for text in texts] == list(range(100))
