"""People on different nodes are in one hub: messages, queues and places are the same everywhere."""

import json

import pytest
from conftest import Hub
from local_cluster import Node
from node import until

NAMES = ["n1", "n2", "n3"]


def hear_all(person, number):
    return [person.hear()["data"] for _ in range(number)]


def test_what_is_said_on_one_node_is_heard_on_all(hubs, join_hub, fresh):
    here, there = join_hub(hubs[0], fresh("ann")), join_hub(hubs[1], fresh("bob"))
    here.send("user", target_ids=[there.user], data={"to": "bob"})
    heard = there.hear("user")
    assert (heard["from"], heard["data"]) == (here.user, {"to": "bob"})


def test_data_cross_nodes_byte_for_byte(hubs, join_hub, fresh):
    here, there = join_hub(hubs[0], fresh("ann")), join_hub(hubs[1], fresh("bob"))
    data = '{ "a":1.50, "b" :\t[1e400,"\\ud800\\u0041é🦀", null ] }'
    here.say(f'{{"type":"user","target_ids":["{there.user}"],"data":{data}}}')
    assert f'"data":{data}' in there.hear_text()


def test_hubs_with_a_prefix_of_their_own_share_a_redis_and_nothing_else(
    shared, hubs, join_hub, fresh, tmp_path
):
    other = Node("other", tmp_path, shared.redis.address, "redis.prefix=other:")
    try:
        stranger = join_hub(Hub(other.start()), fresh("ann"))
        person = join_hub(hubs[0], stranger.user)
        hubs[1].publish({"type": "user", "target_ids": [person.user], "data": "here"})
        assert person.hear("user")["data"] == "here"
        stranger.send("user", target_ids=[person.user], data="there")
        assert stranger.hear("user")["data"] == "there", "and nothing before it"
        assert person.is_served()
    finally:
        other.kill()


def test_all_nodes_give_one_order_and_one_time(hubs, join_hub, fresh):
    room = fresh("room")
    people = [join_hub(hub, fresh(f"user{number}")) for number, hub in enumerate(hubs)]
    for person in people:
        person.join(room)
    for number in range(20):
        for person in people:
            person.send("room", room_id=room, data=number)
    heard = [[person.hear("room") for _ in range(20 * len(people))] for person in people]
    assert heard[0] == heard[1] == heard[2], "the same messages, places and times in one order"
    for person in people:
        own = [message["data"] for message in heard[0] if message["from"] == person.user]
        assert own == list(range(20)), "what one says on one connection stays in its order"


def test_a_message_is_published_once_whichever_node_is_asked_again(hubs, join_hub, fresh):
    listener, name = join_hub(hubs[2], fresh("bob")), fresh("id")
    message = {"type": "user", "target_ids": [listener.user], "id": name, "data": 1}
    first, again = hubs[0].publish(message), hubs[1].publish(message)
    assert (first.json["duplicate"], again.json["duplicate"]) == (False, True)
    assert first.json["cursor"] == again.json["cursor"]
    assert hubs[2].publish(message | {"data": 2}).code == "id_reused"
    listener.hear("user")
    assert listener.is_served(), "it came once"


def test_others_are_all_but_the_session_that_sends_on_whichever_node(hubs, join_hub, fresh):
    user = fresh("ann")
    sender, other = join_hub(hubs[0], user), join_hub(hubs[1], user)
    sender.send("user", target_ids=[user], data="hi", to="others")
    assert other.hear("user")["data"] == "hi"
    assert sender.is_served(), "the sender heard nothing of it"


def test_what_passes_by_reaches_who_is_there_and_leaves_nothing(hubs, join_hub, come_back, fresh):
    here, there = join_hub(hubs[0], fresh("ann")), join_hub(hubs[1], fresh("bob"))
    here.send("user", target_ids=[there.user], data="typing", ephemeral=True)
    heard = there.hear("user")
    assert heard["data"] == "typing"
    assert "cursor" not in heard
    assert come_back(hubs[2], there).connected["pending"] == 0


def test_a_message_waits_for_who_is_away_and_is_given_on_another_node_once(hubs, join_hub, fresh):
    user = fresh("zoe")
    published = hubs[0].publish({"type": "user", "target_ids": [user], "data": "wait"})
    assert published.status == 200
    first = join_hub(hubs[2], user)
    assert first.connected["pending"] == 1
    assert first.hear("user")["data"] == "wait"
    assert first.is_served()
    first.close()
    nobody_waits = lambda: join_hub(hubs[1], user).connected["pending"] == 0  # noqa: E731
    assert until(nobody_waits), "what was received is not given again"


def test_two_devices_on_two_nodes_are_both_given_what_comes(hubs, join_hub, fresh):
    user = fresh("ann")
    phone, laptop = join_hub(hubs[0], user), join_hub(hubs[1], user)
    for number in range(5):
        hubs[2].publish({"type": "user", "target_ids": [user], "data": number})
    assert hear_all(phone, 5) == hear_all(laptop, 5) == list(range(5))


def test_a_device_that_acknowledges_keeps_a_message_waiting_until_it_does(hubs, join_hub, fresh):
    user = fresh("ann")
    device = join_hub(hubs[0], user, asks={"ack": 1})
    hubs[1].publish({"type": "user", "target_ids": [user], "data": "keep"})
    given = device.hear("user")
    device.close()
    again = join_hub(hubs[1], user, asks={"ack": 1})
    assert again.connected["pending"] == 1
    assert again.hear("user")["cursor"] == given["cursor"]
    again.send("ack", cursor=given["cursor"])
    assert again.is_served()
    again.close()
    assert until(lambda: join_hub(hubs[2], user).connected["pending"] == 0)


def test_a_queue_that_overflows_says_exactly_how_many_are_missing(hubs, join_hub, fresh):
    user = fresh("zoe")
    batch = [{"type": "user", "target_ids": [user], "data": number} for number in range(130)]
    assert hubs[0].publish(batch).status == 200
    person = join_hub(hubs[1], user)
    assert (person.connected["missed"], person.connected["pending"]) == (30, 100)
    assert hear_all(person, 100) == list(range(30, 130))


@pytest.mark.parametrize("away", [0, 1, 300])
def test_who_comes_back_to_another_node_is_given_what_was_missed(
    hubs, join_hub, come_back, fresh, away
):
    room, speaker = fresh("room"), join_hub(hubs[2], fresh("bob"))
    person = join_hub(hubs[0], fresh("ann"), asks={"rooms": room})
    person.hear("joined")
    speaker.send("room", room_id=room, data="before", id=fresh("first"))
    speaker.hear("ack")
    person.hear("room")
    person.close()
    batch = [{"type": "room", "room_id": room, "data": number} for number in range(away)]
    assert hubs[1].publish(batch).status == 200
    again = come_back(hubs[1], person, rooms=room)
    assert again.connected["resumed"] is True
    assert again.connected["session_id"] == person.connected["session_id"]
    again.hear("joined")
    assert hear_all(again, away) == list(range(away))
    assert again.is_served()


def test_a_place_that_no_log_knows_is_not_resumed_from(hubs, join_hub, fresh):
    person = join_hub(hubs[0], fresh("ann"), asks={"after": "9.1:0:9-1", "session_id": "x"})
    assert person.connected["resumed"] is False


def test_history_is_the_same_on_every_node(hubs, join_hub, fresh):
    room = fresh("room")
    for number in range(6):
        hubs[number % 3].publish({"type": "room", "room_id": room, "data": number})
    told = [join_hub(hub, fresh("ann")).join(room, history=4) for hub in hubs]
    assert [message["data"] for message in told[0]["history"]] == [2, 3, 4, 5]
    assert told[0]["history"] == told[1]["history"] == told[2]["history"]
    assert not any(joined["history_complete"] for joined in told)


def test_a_user_taken_off_is_closed_everywhere(hubs, join_hub, fresh):
    user = fresh("ann")
    people = [join_hub(hub, user) for hub in hubs]
    assert hubs[1].request("DELETE", f"/users/{user}/connections").status == 202
    assert [person.hear_close() for person in people] == [4010] * 3


def test_any_node_tells_whose_connections_are_where(hubs, join_hub, fresh):
    user = fresh("ann")
    # A node that has just come is known within a second.
    for hub in hubs:
        assert until(lambda hub=hub: hub.get("/stats").json["cluster"]["nodes"] == NAMES)
    people = [join_hub(hub, user) for hub in hubs]
    told = hubs[0].get(f"/users/{user}").json
    assert told["online"] is True, told
    assert told.get("missing", []) == []
    assert {one["session_id"]: one["node"] for one in told["connections"]} == {
        person.connected["session_id"]: f"n{number}" for number, person in enumerate(people, 1)
    }
    assert hubs[2].get(f"/users/{fresh('nobody')}").json["online"] is False


def test_statistics_add_the_nodes_up(hubs, join_hub, fresh):
    people = [join_hub(hubs[0], fresh("ann")), join_hub(hubs[1], fresh("bob"))]
    assert all(person.is_served() for person in people)

    def all_count_them():
        sums = sum(hub.get("/stats").json["total_clients"] for hub in hubs)
        told = [hub.get("/stats").json["cluster"] for hub in hubs]
        return all((of["total_clients"], of["nodes"]) == (sums, NAMES) for of in told)

    assert until(all_count_them), json.dumps(hubs[0].get("/stats").json)
