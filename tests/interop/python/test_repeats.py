"""Publishing with ids: a repeat has no second effect, however often and at once it is said."""

import threading
from collections import Counter

import pytest
from node import until
from people import heard_nothing_else
from wire import TEXT, frame, upgrade

ONCE = {"type": "broadcast", "data": "once"}


def test_a_thousand_connections_with_one_id_at_once_have_one_effect(start, join_hub, dial):
    node = start("shards=2")
    listener = join_hub(node, "listener")
    crowd = [dial(node) for _ in range(1000)]
    for wire in crowd:
        wire.send(upgrade("ann"))
    for wire in crowd:
        assert wire.read_status() == 101
        assert wire.hear()["type"] == "connected"
    say = frame(TEXT, b'{"type":"user","target_ids":["listener"],"data":"once","id":"the-same"}')
    for wire in crowd:
        wire.send(say)
    acks = [wire.hear() for wire in crowd]
    assert {(ack["type"], ack["id"]) for ack in acks} == {("ack", "the-same")}
    assert Counter(ack["duplicate"] for ack in acks) == {False: 1, True: 999}
    assert len({ack["cursor"] for ack in acks}) == 1
    heard = listener.hear("user")
    assert (heard["id"], heard["cursor"]) == ("the-same", acks[0]["cursor"])
    assert listener.is_served()


def test_publishers_in_parallel_have_each_message_once(node, person, fresh):
    ann = person("ann")
    ids = [fresh(str(number)) for number in range(50)]
    answers = []

    def publish_all():
        answers.extend(node.publish(ONCE | {"id": id_}).json for id_ in ids)

    publishers = [threading.Thread(target=publish_all) for _ in range(8)]
    for publisher in publishers:
        publisher.start()
    for publisher in publishers:
        publisher.join()
    assert Counter(answer["id"] for answer in answers) == dict.fromkeys(ids, 8)
    assert sorted(answer["id"] for answer in answers if not answer["duplicate"]) == sorted(ids)
    assert len({(answer["id"], answer["cursor"]) for answer in answers}) == 50
    assert sorted(ann.hear("broadcast")["id"] for _ in ids) == sorted(ids)
    assert heard_nothing_else(ann, ann)


def test_a_repeat_within_one_array_is_one(node, person, fresh):
    ann, message = person("ann"), ONCE | {"id": fresh("id")}
    first, second, other = node.publish([message, message, message | {"data": 2}]).json
    assert (first["duplicate"], second["duplicate"]) == (False, True)
    assert first["cursor"] == second["cursor"]
    assert other["code"] == "id_reused"
    assert ann.hear("broadcast")["data"] == "once"
    assert heard_nothing_else(ann, ann)


def test_the_api_and_each_user_have_ids_of_their_own(node, person, fresh):
    ann, bob, id_ = person("ann"), person("bob"), fresh("id")
    to_nobody = {"type": "user", "target_ids": [fresh("nobody")], "id": id_}
    assert node.publish(to_nobody | {"data": "by the API"}).json["duplicate"] is False
    for one in (ann, bob):
        one.send(**to_nobody, data=f"by {one.user}")
        assert one.hear("ack")["duplicate"] is False
    assert node.publish(to_nobody | {"data": "by the API"}).json["duplicate"] is True


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"data": {"a": 1}}, {"data": {"a": 2}}),
        ({"type": "user", "target_ids": ["x", "y"]}, {"type": "user", "target_ids": ["y", "x"]}),
        ({"type": "user", "target_ids": ["x"]}, {"type": "user", "target_ids": ["x", "y"]}),
        ({"type": "room", "room_id": "x"}, {"type": "room", "room_id": "y"}),
        ({"type": "room", "room_id": "x"}, {"type": "user", "target_ids": ["x"]}),
        ({"type": "room", "room_id": "x"}, {}),
    ],
    ids=["data", "order of targets", "targets", "room", "type", "target"],
)
def test_other_content_is_refused_in_either_order(node, fresh, first, second):
    for id_, one, other in [("1", first, second), ("2", second, first)]:
        id_ = fresh(id_)
        assert node.publish(ONCE | one | {"id": id_}).json["duplicate"] is False
        answer = node.publish(ONCE | other | {"id": id_})
        assert (answer.status, answer.code) == (409, "id_reused")
        assert node.publish(ONCE | one | {"id": id_}).json["duplicate"] is True


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"to": "others"}),
        ({}, {"target_ids": None, "room_id": ""}),
        (
            {"type": "user", "target_ids": ["x", "y"]},
            {"type": "user", "target_ids": ["x", "y", "x"]},
        ),
    ],
    ids=["to whom of one's own", "fields without use", "a target twice"],
)
def test_what_does_not_count_as_content_makes_no_other_message(node, fresh, first, second):
    id_ = fresh("id")
    assert node.publish(ONCE | first | {"id": id_}).json["duplicate"] is False
    assert node.publish(ONCE | second | {"id": id_}).json["duplicate"] is True


def test_data_is_compared_byte_for_byte(node, fresh):
    say = '{{"type":"broadcast","id":"{}","data":{}}}'.format
    id_ = fresh("id")
    assert node.publish(say(id_, '{"a":1}')).json["duplicate"] is False
    assert node.publish(say(id_, '{"a": 1}')).code == "id_reused"
    assert node.publish(say(id_, ' {"a":1} ')).json["duplicate"] is True


def test_an_id_is_free_again_when_its_window_is_over(start, join_hub):
    node = start("dedupe.window=1s")
    ann = join_hub(node, "ann")
    message = ONCE | {"id": "again"}
    assert node.publish(message).json["duplicate"] is False
    assert until(lambda: node.publish(message).json["duplicate"] is False)
    first, second = ann.hear("broadcast"), ann.hear("broadcast")
    assert (first["id"], second["id"]) == ("again", "again")
    assert first["cursor"] != second["cursor"]


def test_where_no_id_can_be_remembered_publishes_with_one_are_refused(start, join_hub):
    node = start('dedupe.bytes="1KiB"')
    ann = join_hub(node, "ann")
    taken = 0
    while (answer := node.publish(ONCE | {"id": f"id-{taken}"})).status == 200:
        taken += 1
    assert taken > 0
    assert (answer.status, answer.code) == (503, "overloaded")
    assert int(answer.headers["Retry-After"]) > 0
    assert len({ann.hear("broadcast")["id"] for _ in range(taken)}) == taken

    ann.send("broadcast", data="refused", id="mine")
    assert ann.hear_error("overloaded")["id"] == "mine"
    assert node.publish([ONCE | {"id": "x"}]).json[0]["code"] == "overloaded"
    assert node.publish(ONCE | {"id": "id-0"}).json["duplicate"] is True, "none is forgotten early"
    assert node.publish(ONCE | {"data": "without an id"}).status == 200
    assert ann.hear("broadcast")["data"] == "without an id"
    assert ann.is_served()
