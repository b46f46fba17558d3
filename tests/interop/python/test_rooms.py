"""Joining and leaving rooms, and who hears what is said in one."""

import pytest
from people import heard_nothing_else


def test_a_join_is_answered(person, room):
    ann = person("ann")
    ann.send("join", room_id=room)
    joined = ann.hear("joined")
    assert (joined["room_id"], joined["members"]) == (room, 1)
    assert joined["cursor"]


def test_members_are_distinct_users(person, room):
    for count, user in [(1, "ann"), (1, "ann"), (2, "bob")]:
        someone = person(user)
        someone.send("join", room_id=room)
        assert someone.hear("joined")["members"] == count


def test_a_second_join_is_answered_again_and_changes_nothing(person, room):
    ann, bob = person("ann"), person("bob")
    for _ in range(2):
        ann.send("join", room_id=room)
        assert ann.hear("joined")["members"] == 1
    bob.send("room", room_id=room, data="once")
    assert ann.hear("room")["data"] == "once"
    assert heard_nothing_else(bob, ann)


def test_what_is_said_in_a_room_reaches_those_in_it_and_nobody_else(person, room):
    ann, bob, carol = person("ann"), person("bob"), person("carol")
    for someone in (ann, bob):
        someone.send("join", room_id=room)
        someone.hear("joined")
    carol.send("join", room_id="another " + room)
    carol.hear("joined")
    ann.send("room", room_id=room, data={"n": 1})
    heard = ann.hear("room")
    assert bob.hear("room") == heard
    assert (heard["room_id"], heard["from"], heard["data"]) == (room, ann.user, {"n": 1})
    assert heard["id"]
    assert heard["cursor"]
    assert isinstance(heard["timestamp"], int)
    assert heard_nothing_else(ann, ann, bob, carol)


def test_a_room_belongs_to_the_connection_that_joined_it(person, room):
    ann, phone = person("ann"), person("ann")
    ann.send("join", room_id=room)
    ann.hear("joined")
    ann.send("room", room_id=room, data="x")
    assert ann.hear("room")["data"] == "x"
    assert heard_nothing_else(ann, ann, phone)


def test_others_in_a_room_are_all_but_the_sending_session(person, room):
    ann, phone = person("ann"), person("ann")
    for someone in (ann, phone):
        someone.send("join", room_id=room)
        someone.hear("joined")
    ann.send("room", room_id=room, data="x", to="others")
    assert phone.hear("room")["data"] == "x"
    assert heard_nothing_else(ann, ann)


def test_in_trusted_mode_anybody_may_write_to_any_room(person, room):
    ann, stranger = person("ann"), person("stranger")
    ann.send("join", room_id=room)
    ann.hear("joined")
    stranger.send("room", room_id=room, data="x", id="from-outside-" + room[-8:])
    assert stranger.hear("ack")["duplicate"] is False
    assert ann.hear("room")["from"] == stranger.user
    assert heard_nothing_else(ann, stranger)


def test_after_left_nothing_of_the_room_comes_any_more(person, room):
    ann, bob = person("ann"), person("bob")
    for someone in (ann, bob):
        someone.send("join", room_id=room)
        someone.hear("joined")
    ann.send("leave", room_id=room)
    left = ann.hear("left")
    assert left["room_id"] == room
    assert left["cursor"]
    bob.send("room", room_id=room, data="x")
    assert bob.hear("room")["data"] == "x"
    assert heard_nothing_else(bob, ann)


def test_one_may_leave_a_room_one_is_not_in(person, room):
    ann = person("ann")
    ann.send("leave", room_id=room)
    assert ann.hear("left")["room_id"] == room


def test_one_may_come_back_to_a_room(person, room):
    ann = person("ann")
    for verb, answer in [("join", "joined"), ("leave", "left"), ("join", "joined")]:
        ann.send(verb, room_id=room)
        ann.hear(answer)
    ann.send("room", room_id=room, data="x")
    assert ann.hear("room")["data"] == "x"


def test_one_connection_may_be_in_many_rooms(person, room):
    ann, bob = person("ann"), person("bob")
    rooms = [f"{room}/{number}" for number in range(50)]
    for one in rooms:
        ann.send("join", room_id=one)
        assert ann.hear("joined")["room_id"] == one
    for one in rooms:
        bob.send("room", room_id=one, data=one)
    assert [ann.hear("room")["room_id"] for _ in rooms] == rooms


@pytest.mark.parametrize("name", ["a, b", "r" * 128, "räume:*", " ", '{"a":1}', "\u2028"])
def test_a_room_may_be_called_nearly_anything(person, name):
    ann = person("ann")
    ann.send("join", room_id=name)
    assert ann.hear("joined")["room_id"] == name
    ann.send("room", room_id=name, data=None)
    assert ann.hear("room")["room_id"] == name


def test_a_room_message_with_an_id_is_acknowledged_to_its_sender_only(person, room):
    ann, bob = person("ann"), person("bob")
    bob.send("join", room_id=room)
    bob.hear("joined")
    ann.send("room", room_id=room, data="x", id=room[-12:])
    assert ann.hear("ack")["id"] == room[-12:]
    assert bob.hear("room")["id"] == room[-12:]
    assert heard_nothing_else(ann, bob)


def test_rooms_in_the_query_are_joined_at_once(node, person, room, join_hub):
    too_long = "x" * 129
    ann = join_hub(node, None, query=f"user_id=ann&rooms={room},{room}%2B2,{too_long}")
    assert [ann.hear("joined")["room_id"] for _ in range(2)] == [room, f"{room}+2"]
    assert ann.hear_error("invalid_message")["room_id"] == too_long[:128]
    bob = person("bob")
    bob.send("room", room_id=f"{room}+2", data="found")
    assert ann.hear("room")["data"] == "found"
