"""Asking who a user is connected as, and taking users off."""

from urllib.parse import quote

import pytest
from people import heard_nothing_else

STRANGER = {"Origin": "http://evil.example"}
NAMES = [
    "a/b",
    "a,b",
    "ü",
    "%41",
    "a+b",
    " ",
    "..",
    "?#&=;",
    "x" * 128,
    "\u2028",
    '"\\',
    "\U0001f980",
]


def path(user, below=""):
    return f"/users/{quote(user, safe='')}{below}"


def disconnect(node, user):
    answer = node.request("DELETE", path(user, "/connections"))
    assert answer.status == 202
    assert answer.json == {"user_id": user}


def test_a_user_is_told_with_each_connection_and_its_rooms(start, join_hub):
    node = start("shards=2", 'node="n1"')
    phone, laptop = join_hub(node, "ann", asks={"rooms": "news"}), join_hub(node, "ann")
    phone.hear("joined")
    phone.join("a/b")
    told = node.get("/users/ann").json
    assert (told["user_id"], told["online"]) == ("ann", True)
    rooms = {one["session_id"]: set(one["rooms"]) for one in told["connections"]}
    assert rooms == {
        phone.connected["session_id"]: {"news", "a/b"},
        laptop.connected["session_id"]: set(),
    }
    assert {one["node"] for one in told["connections"]} == {"n1"}
    assert all(isinstance(one["since"], int) for one in told["connections"])


def test_a_room_that_was_left_and_a_connection_that_has_ended_are_told_no_more(start, join_hub):
    node = start()
    phone, laptop = join_hub(node, "ann"), join_hub(node, "ann")
    phone.join("news")
    phone.leave("news")
    laptop.close()
    [connection] = node.get("/users/ann").json["connections"]
    assert connection["session_id"] == phone.connected["session_id"]
    assert connection["rooms"] == []
    phone.close()
    assert node.get("/users/ann").json["online"] is False


def test_a_user_whom_nobody_knows_is_just_not_online(node, fresh):
    user = fresh("nobody")
    answer = node.get(path(user))
    assert answer.status == 200
    assert answer.json == {"user_id": user, "online": False, "connections": []}


@pytest.mark.parametrize("name", NAMES)
def test_a_user_is_found_by_any_name_that_one_may_have(node, join_hub, name):
    ann = join_hub(node, name)
    told = node.get(path(name)).json
    assert told["user_id"] == name
    assert [one["session_id"] for one in told["connections"]] == [ann.connected["session_id"]]
    disconnect(node, name)
    assert ann.hear_close() == 4010


@pytest.mark.parametrize("name", ["%00", "%1f", "%7F", "%ff", "x" * 129, "%C3%A4" * 65])
def test_what_is_no_users_id_is_refused(node, name):
    for method, below in [("GET", ""), ("DELETE", "/connections")]:
        answer = node.request(method, f"/users/{name}{below}")
        assert (answer.status, answer.code) == (422, "invalid_message")


def test_a_disconnected_user_is_told_the_last_place_before_the_close(start, join_hub):
    node = start("shards=2")
    phone, laptop, bob = (join_hub(node, user) for user in ("ann", "ann", "bob"))
    bob.send("user", target_ids=["carol"], data="not for ann", id="m-1")
    end = bob.hear("ack")["cursor"]
    disconnect(node, "ann")
    for device in (phone, laptop):
        assert device.hear("position")["cursor"] == end
        assert device.hear_close() == 4010
    assert node.get("/users/ann").json["online"] is False
    assert bob.is_served(), "nobody else is closed"


def test_a_disconnected_user_may_come_back_to_where_they_were(node, person, come_back):
    ann, bob = person("ann"), person("bob")
    disconnect(node, ann.user)
    assert ann.hear_close() == 4010
    bob.send("user", target_ids=[ann.user], data="meanwhile", id=bob.user)
    bob.hear("ack")
    ann = come_back(ann)
    assert ann.connected["resumed"] is True
    assert ann.hear("user")["data"] == "meanwhile"
    assert ann.is_served()


def test_only_the_connections_that_were_there_are_closed(node, person, join_hub):
    first = person("ann")
    for _ in range(20):
        disconnect(node, first.user)
        newer = join_hub(node, first.user)
        assert first.hear_close() == 4010
        assert newer.is_served()
        first = newer


def test_a_user_whom_nobody_knows_can_be_disconnected_as_well(node, person, fresh):
    bob = person("bob")
    disconnect(node, fresh("nobody"))
    assert heard_nothing_else(bob, bob)


def test_a_page_of_strangers_may_ask_and_do_nothing(node, person):
    ann = person("ann")
    for method, where in [("GET", path(ann.user)), ("DELETE", path(ann.user, "/connections"))]:
        answer = node.request(method, where, headers=STRANGER)
        assert (answer.status, answer.code) == (403, "forbidden")
    assert node.request("GET", "/rooms/news", headers=STRANGER).status == 403
    assert ann.is_served()
