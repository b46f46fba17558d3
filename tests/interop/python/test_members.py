"""Who is in a room: told by HTTP, to those who join, and to those who asked who comes and goes."""

import threading
from urllib.parse import quote, urlencode

import pytest
from node import SECONDS, until
from people import heard_nothing_else
from wire import TEXT, frame

NAMES = [
    "a/b",
    "ä, ö",
    "%41",
    "a+b",
    " ",
    "..",
    "?#&=;",
    "r" * 128,
    "\u2028",
    '{"a":1}',
    "\U0001f980",
]
# Longer than a user whose connection broke is waited for.
PATIENCE = 3 * SECONDS


def page(node, room, **asks):
    answer = node.get(f"/rooms/{quote(room, safe='')}?{urlencode(asks)}")
    assert answer.status == 200, answer.body
    assert answer.json["room_id"] == room
    return answer.json


def members(node, room):
    return page(node, room)["members"]


def hear_presence(person, event, patience=SECONDS):
    message = person.hear("presence", patience)
    assert message["event"] == event, message
    return message["members"] if event == "count" else message["user_id"]


def test_a_room_is_told_page_by_page_in_the_order_of_ids(node, person, room, join_hub, fresh):
    users = sorted(fresh(f"{number:02}") for number in range(25))
    for user in [*reversed(users), users[0]]:
        join_hub(node, user, asks={"rooms": room}).hear("joined")
    told, after = [], {}
    while True:
        got = page(node, room, limit=10, **after)
        assert got["members"] == 25
        told.append(got["users"])
        if got["next"] is None:
            break
        after = {"after": got["next"]}
    assert told == [users[:10], users[10:20], users[20:]]
    assert page(node, room)["users"] == users, "a hundred where nobody says"
    assert page(node, room, after=users[3] + "!")["users"] == users[4:]
    assert page(node, room, after="\U0001f980")["users"] == []


def test_a_room_that_nobody_knows_has_nobody(node, room):
    assert page(node, room) == {"room_id": room, "members": 0, "users": [], "next": None}


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "+1", "x", "", "1.0", "%2B1", "1e1"])
def test_a_limit_out_of_bounds_is_refused(node, room, limit):
    answer = node.get(f"/rooms/{room}?limit={limit}")
    assert (answer.status, answer.code) == (422, "invalid_message")


@pytest.mark.parametrize("name", NAMES)
def test_a_room_is_one_by_message_by_query_and_by_path(node, person, join_hub, fresh, name):
    ann = person("ann")
    ann.join(name)
    assert ann.user in page(node, name)["users"]
    if "," not in name:
        bob = join_hub(node, fresh("bob"), asks={"rooms": name})
        assert bob.hear("joined")["room_id"] == name
        assert members(node, name) == 2
    assert node.publish({"type": "room", "room_id": name, "data": 1}).status == 200
    assert ann.hear("room")["room_id"] == name


def test_who_asks_is_told_the_users_and_who_comes_and_goes(person, room):
    ann, bob, carol = person("ann"), person("bob"), person("carol")
    assert ann.join(room, presence=True)["users"] == [ann.user]
    told = bob.join(room, presence=True)
    assert (told["members"], told["users"]) == (2, [ann.user, bob.user])
    assert hear_presence(ann, "join") == bob.user
    assert "users" not in carol.join(room), "who doesn't ask isn't told"
    assert [hear_presence(someone, "join") for someone in (ann, bob)] == [carol.user] * 2
    assert bob.leave(room)["members"] == 2
    assert hear_presence(ann, "leave") == bob.user
    assert heard_nothing_else(ann, ann, bob, carol)


def test_a_user_comes_with_the_first_connection_and_goes_with_the_last(node, person, room):
    ann, phone, laptop = person("ann"), person("bob"), person("bob")
    ann.join(room, presence=True)
    for device in (phone, laptop, phone):
        device.join(room)
    assert hear_presence(ann, "join") == phone.user
    assert phone.leave(room)["members"] == 2
    assert phone.leave(room)["members"] == 2
    assert heard_nothing_else(ann, ann)
    assert laptop.hear("broadcast")
    assert laptop.leave(room)["members"] == 1
    assert hear_presence(ann, "leave") == phone.user
    assert members(node, room) == 1


def test_a_join_says_anew_whether_one_wants_to_be_told(person, room):
    ann, bob = person("ann"), person("bob")
    ann.join(room, presence=True)
    ann.join(room)
    bob.join(room)
    assert heard_nothing_else(bob, bob, ann)
    assert ann.join(room, presence=True)["users"] == [ann.user, bob.user]
    bob.leave(room)
    assert hear_presence(ann, "leave") == bob.user


def test_nothing_is_said_of_who_comes_back_in_time(node, person, room, come_back):
    ann, bob = person("ann"), person("bob")
    ann.join(room, presence=True)
    bob.join(room)
    assert hear_presence(ann, "join") == bob.user
    for _ in range(3):
        bob.close()
        assert members(node, room) == 2, "who may come back counts as there"
        bob = come_back(bob)
        assert bob.join(room)["members"] == 2
    assert heard_nothing_else(ann, ann)
    assert bob.hear("broadcast")
    bob.leave(room)
    assert hear_presence(ann, "leave") == bob.user, "at once, whoever was waited for before"
    assert members(node, room) == 1


def test_who_does_not_come_back_is_said_to_have_left(node, person, room, dial, fresh):
    ann, bob, carol = person("ann"), dial(node), person("carol")
    bob.open(fresh("bob"), rooms=room)
    assert bob.hear()["type"] == "joined"
    carol.join(room)
    ann.join(room, presence=True)
    bob.close()
    carol.close()
    assert until(lambda: not node.get(f"/users/{bob.user}").json["online"])
    assert members(node, room) == 3
    gone = {hear_presence(ann, "leave", PATIENCE) for _ in range(2)}
    assert gone == {bob.user, carol.user}
    assert members(node, room) == 1
    assert heard_nothing_else(ann, ann)


def test_in_a_large_room_its_users_are_counted_and_no_more_named(start, join_hub, dial):
    node = start("shards=2")
    ann = join_hub(node, "ann")
    ann.join("r", presence=True)
    crowd = [dial(node) for _ in range(1100)]
    for number, wire in enumerate(crowd):
        wire.open(f"user{number:04}", rooms="r")
        assert wire.hear()["type"] == "joined"
    named = {hear_presence(ann, "join") for _ in range(999)}
    assert named == {f"user{number:04}" for number in range(999)}
    counts = [hear_presence(ann, "count")]
    while counts[-1] < 1101:
        counts.append(hear_presence(ann, "count"))
    assert counts == sorted(set(counts)), "each says something new"
    assert counts[0] > 1000
    first = page(node, "r", limit=1000)
    assert (first["members"], len(first["users"])) == (1101, 1000)
    assert page(node, "r", limit=1000, after=first["next"])["users"] == [
        f"user{number:04}" for number in range(999, 1100)
    ]
    told = join_hub(node, "zoe").join("r", presence=True)
    assert (told["members"], len(told["users"])) == (1102, 100)
    for wire in crowd[:150]:
        wire.send(frame(TEXT, b'{"type":"leave","room_id":"r"}'))
        assert wire.hear()["type"] == "left"
    heard = []
    # With ann and zoe there are a thousand when the 102nd leaves.
    while len(leaves := [one["user_id"] for one in heard if one["event"] == "leave"]) < 49:
        heard.append(ann.hear("presence"))
    assert leaves == [f"user{number:04}" for number in range(101, 150)]
    assert {one["event"] for one in heard} <= {"leave", "count"}


def test_a_storm_of_joins_and_leaves_ends_as_it_should(node, person, room):
    watcher, crowd = person("watcher"), [person(f"user{number}") for number in range(8)]
    watcher.join(room, presence=True)

    def come_and_go(someone):
        for _ in range(100):
            someone.send("join", room_id=room)
            someone.send("leave", room_id=room)
        someone.send("join", room_id=room)
        answers = [someone.hear()["type"] for _ in range(201)]
        assert answers == ["joined", "left"] * 100 + ["joined"]

    storm = [threading.Thread(target=come_and_go, args=[someone]) for someone in crowd]
    for thread in storm:
        thread.start()
    for thread in storm:
        thread.join()
    watcher.send("room", room_id=room, data="all here")
    there = {watcher.user}
    # Of a user who leaves and is on the way in again nothing need be said.
    while (told := watcher.hear())["type"] != "room":
        if told["event"] == "join":
            assert told["user_id"] not in there, "nobody comes who is there"
            there.add(told["user_id"])
        else:
            there.remove(told["user_id"])
    assert there == {watcher.user, *(someone.user for someone in crowd)}
    assert set(page(node, room)["users"]) == there
    assert {someone.hear("room")["data"] for someone in crowd} == {"all here"}


def test_a_connection_may_be_in_so_many_rooms_and_no_more(start, join_hub):
    node = start("limits.rooms_per_connection=3")
    ann = join_hub(node, "ann", asks={"rooms": "a,b,c,d"})
    assert [ann.hear("joined")["room_id"] for _ in range(3)] == ["a", "b", "c"]
    assert ann.hear_error("too_many_rooms")["room_id"] == "d"
    assert members(node, "d") == 0
    ann.join("a")
    ann.send("join", room_id="e", presence=True, history=5)
    assert ann.hear_error("too_many_rooms")["room_id"] == "e"
    assert members(node, "e") == 0
    ann.leave("b")
    ann.join("e")
    [connection] = node.get("/users/ann").json["connections"]
    assert set(connection["rooms"]) == {"a", "c", "e"}
