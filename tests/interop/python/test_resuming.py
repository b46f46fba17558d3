"""Those who come back with the place they knew: what they missed follows, or they are told."""

import pytest
from node import until
from wire import upgrade

KIB = 1024


def broadcasts(all_data):
    return [{"type": "broadcast", "data": data} for data in all_data]


def in_room(room, all_data):
    return [{"type": "room", "room_id": room, "data": data} for data in all_data]


def offset(cursor):
    return int(cursor.split(":")[2])


def moved(cursor, by):
    """A place of the same log, so much further on."""
    epoch, partition, place = cursor.split(":")
    return f"{epoch}:{partition}:{int(place) + by}"


def of_another_life(cursor):
    """The same place of a log that is no more."""
    epoch, rest = cursor.split(":", 1)
    return epoch[:-1] + ("1" if epoch[-1] == "0" else "0") + ":" + rest


def test_what_was_missed_follows_in_order_and_then_what_is_live(node, person, come_back, fresh):
    ann, bob, room = person("ann"), person("bob"), fresh("room")
    ann.close()
    missed = [
        {"type": "broadcast", "data": 1},
        {"type": "user", "target_ids": [ann.user], "data": 2},
        {"type": "room", "room_id": room, "data": 3},
        {"type": "user", "target_ids": [bob.user], "data": "not for ann"},
        {"type": "room", "room_id": fresh("other room"), "data": "not for ann"},
        {"type": "broadcast", "data": 4},
    ]
    assert node.publish(missed).status == 200
    ann = come_back(ann, rooms=room)
    assert (ann.connected["resumed"], ann.connected["pending"]) == (True, 1)
    assert ann.hear("joined")["room_id"] == room
    heard = [ann.hear() for _ in range(4)]
    assert [message["data"] for message in heard] == [1, 2, 3, 4]
    places = [offset(message["cursor"]) for message in heard]
    assert places == sorted(set(places))
    node.publish(in_room(room, ["live"]))
    assert ann.hear("room")["data"] == "live"
    assert ann.is_served()


def test_where_nothing_was_missed_nothing_follows(person, come_back):
    ann = person("ann")
    ann.send("broadcast", data=1)
    ann.hear("broadcast")
    ann = come_back(ann)
    assert ann.connected["resumed"] is True
    assert ann.is_served()


def test_the_end_of_an_empty_log_is_a_place_too(start, join_hub, come_back):
    node = start()
    ann = join_hub(node, "ann")
    assert ann.connected["resumed"] is False
    ann = come_back(ann)
    assert ann.connected["resumed"] is True
    node.publish(broadcasts([1]))
    assert ann.hear("broadcast")["data"] == 1
    assert come_back(ann).connected["resumed"] is True


def test_a_place_is_good_for_several_returns(node, person, come_back):
    ann = person("ann")
    node.publish(broadcasts(range(3)))
    for _ in range(2):
        again = come_back(ann)
        assert again.connected["resumed"] is True
        assert again.hear_data(3) == [0, 1, 2]


def test_the_label_of_a_session_is_kept(person, come_back):
    ann = person("ann")
    back = come_back(ann)
    assert back.connected["session_id"] == ann.connected["session_id"]


def test_a_label_that_a_live_connection_goes_by_is_not_given_twice(node, person, join_hub):
    ann = person("ann")
    label = ann.connected["session_id"]
    tab = join_hub(node, ann.user, asks={"session_id": label, "after": ann.cursor})
    assert tab.connected["session_id"] != label
    assert tab.connected["resumed"] is True, "the label is no credential, the place counts"
    assert ann.is_served()


@pytest.mark.parametrize("label", ["", "x", "0" * 32, "\0", "ü" * 100, "a" * 4 * KIB])
def test_a_label_that_is_none_is_passed_over(node, person, join_hub, label):
    ann = person("ann")
    back = join_hub(node, ann.user, asks={"session_id": label, "after": ann.cursor})
    assert back.connected["resumed"] is True
    assert back.connected["session_id"] not in {label, ann.connected["session_id"]}


def test_the_session_and_place_of_another_user_open_nothing(node, person, join_hub, fresh):
    ann = person("ann")
    ann.close()
    node.publish({"type": "user", "target_ids": [ann.user], "data": "for ann only"})
    stolen = {"session_id": ann.connected["session_id"], "after": ann.cursor}
    mallory = join_hub(node, fresh("mallory"), asks=stolen)
    assert mallory.connected["session_id"] != stolen["session_id"]
    assert mallory.connected["pending"] == 0
    assert mallory.is_served()


UNREADABLE = {
    "a word": lambda cursor: "x",
    "colons": lambda cursor: "::",
    "commas": lambda cursor: "," * KIB,
    "a part": lambda cursor: cursor.rsplit(":", 1)[0],
    "letters behind it": lambda cursor: cursor + "x",
    "a NUL behind it": lambda cursor: cursor + "\0",
    "a minus": lambda cursor: cursor.replace(":0:", ":0:-"),
    "a number too large": lambda cursor: cursor + "9" * 40,
    "another epoch": of_another_life,
    "the future": lambda cursor: moved(cursor, 1_000_000),
    "the farthest future": lambda cursor: cursor.rsplit(":", 1)[0] + f":{2**64 - 1}",
    "another partition": lambda cursor: cursor.replace(":0:", ":1:"),
    "other scripts": lambda cursor: "٣" * 100,
    "7 KiB": lambda cursor: "x" * 7 * KIB,
}


@pytest.mark.parametrize("spoil", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_place_that_says_nothing_is_no_resume_and_no_refusal(node, person, come_back, spoil):
    ann = person("ann")
    ann.close()
    node.publish(broadcasts([1]))
    node.publish({"type": "user", "target_ids": [ann.user], "data": "waits"})
    ann = come_back(ann, after=spoil(ann.cursor))
    assert (ann.connected["resumed"], ann.connected["pending"]) == (False, 1)
    assert ann.hear("user")["data"] == "waits"
    assert ann.is_served()


def test_without_a_place_nothing_is_resumed(node, person, come_back):
    ann = person("ann")
    ann.close()
    node.publish(broadcasts([1]))
    ann = come_back(ann, after="")
    assert ann.connected["resumed"] is False
    assert ann.is_served()


def test_a_place_of_100_kib_is_more_than_a_request_line_may_have(node, dial):
    wire = dial(node)
    wire.send_as_far_as_taken(upgrade("ann", path="/ws?user_id=ann&after=" + "x" * 100 * KIB))
    assert wire.read_status() == 414


def test_what_the_log_has_let_go_of_is_no_resume(start, join_hub, come_back):
    node = start('log.bytes="1MiB"')
    ann = join_hub(node, "ann")
    ann.close()
    for number in range(4):
        node.publish(broadcasts([str(number) * 400 * KIB]))
    ann = come_back(ann)
    assert ann.connected["resumed"] is False
    assert ann.is_served()


def test_what_is_too_old_for_the_log_is_no_resume(start, join_hub, come_back):
    node = start("log.retention=1s")
    ann, bob = join_hub(node, "ann"), join_hub(node, "bob")
    ann.close()
    node.publish(broadcasts([1]))
    bob.hear("broadcast")
    assert until(lambda: node.get("/stats").json["log"]["entries"] == 0)
    assert come_back(ann).connected["resumed"] is False
    assert come_back(bob).connected["resumed"] is True, "bob has missed nothing"


def test_a_quiet_client_learns_of_places_that_do_not_age(start, join_hub, come_back):
    node = start("log.retention=2s")
    ann = join_hub(node, "ann")
    node.publish({"type": "user", "target_ids": ["bob"], "data": 1})
    position = ann.hear("position")
    assert offset(position["cursor"]) > offset(ann.connected["cursor"])
    assert until(lambda: node.get("/stats").json["log"]["entries"] == 0)
    assert come_back(ann).connected["resumed"] is True


def test_a_backlog_longer_than_an_outbox_comes_whole_and_in_order(node, person, come_back):
    ann = person("ann")
    ann.close()
    for first in (0, 1000):
        node.publish(broadcasts(range(first, first + 1000)))
    ann = come_back(ann)
    assert ann.connected["resumed"] is True
    node.publish(broadcasts(range(2000, 2100)))
    assert ann.hear_data(2100) == list(range(2100))
    assert ann.is_served()


def test_to_catch_up_slowly_is_not_to_be_slow(start, join_hub, dial):
    large = "{:0>8000}".format
    node = start("limits.queue_messages=8", 'limits.queue_bytes="512KiB"')
    place = join_hub(node, "bob").connected["cursor"]
    for first in range(0, 2000, 500):
        node.publish(broadcasts(map(large, range(first, first + 500))))
    ann = dial(node, receive_buffer=4 * KIB)
    ann.open("ann", after=place)
    assert ann.connected["resumed"] is True
    node.publish(broadcasts(map(large, range(2000, 2100))))
    for number in range(2100):
        assert ann.hear()["data"] == large(number)
    assert ann.is_served()


def test_those_who_resume_at_once_are_all_given_what_they_missed(node, person, dial, fresh):
    place = person("bob").connected["cursor"]
    node.publish(broadcasts(range(100)))
    crowd = [dial(node) for _ in range(200)]
    for number, wire in enumerate(crowd):
        path = f"/ws?user_id={fresh('guest')}-{number}&after={place}"
        wire.send(upgrade(None, path=path))
    for wire in crowd:
        assert wire.read_status() == 101
        assert wire.hear()["resumed"] is True
        assert [wire.hear()["data"] for _ in range(100)] == list(range(100))


def test_a_room_is_caught_up_with_from_a_place(node, person, fresh):
    ann, room = person("ann"), fresh("room")
    ann.send("join", room_id=room)
    ann.hear("joined")
    node.publish(in_room(room, ["heard"]))
    ann.hear("room")
    ann.send("leave", room_id=room)
    ann.hear("left")
    node.publish(in_room(room, ["missed", "missed too"]))
    ann.send("join", room_id=room, after=ann.cursor)
    assert ann.hear("joined")["resumed"] is True
    node.publish(in_room(room, ["live"]))
    assert ann.hear_data(3) == ["missed", "missed too", "live"]
    assert ann.is_served()


def test_a_thousand_messages_of_a_room_are_caught_up_with_in_order(node, person, fresh):
    ann, room = person("ann"), fresh("room")
    node.publish(in_room(room, range(1000)))
    ann.send("join", room_id=room, after=ann.cursor)
    assert ann.hear("joined")["resumed"] is True
    node.publish(in_room(room, [1000]))
    assert ann.hear_data(1001) == list(range(1001))


@pytest.mark.parametrize(
    "spoil",
    [*UNREADABLE.values(), lambda cursor: "x" * 100 * KIB, lambda cursor: "," * 100 * KIB],
    ids=[*UNREADABLE.keys(), "100 KiB", "100 KiB of commas"],
)
def test_a_room_is_joined_from_a_place_that_says_nothing(node, person, fresh, spoil):
    ann, room = person("ann"), fresh("room")
    node.publish(in_room(room, ["missed"]))
    ann.send("join", room_id=room, after=spoil(ann.cursor))
    joined = ann.hear("joined")
    assert (joined["room_id"], joined["resumed"]) == (room, False)
    node.publish(in_room(room, ["live"]))
    assert ann.hear("room")["data"] == "live"
