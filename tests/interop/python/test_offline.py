"""Messages to users who are away: they wait until a receipt takes them; what is lost is told."""

import pytest
from node import until
from wire import PING, PONG, frame, to_user

KIB = 1024
MIB = KIB * KIB


def to(user, data):
    return {"type": "user", "target_ids": [user], "data": data}


def queued(node):
    return node.get("/stats").json["ledger"]["queued"]


def waiting(person):
    """How many messages wait for somebody who has just come, and how many were lost."""
    return person.connected["pending"], person.connected["missed"]


@pytest.fixture
def hub(start):
    """A node where nothing waits yet."""
    return start("shards=2")


def test_a_message_to_a_user_who_is_away_is_there_when_they_come(node, person, fresh):
    bob = person("bob")
    bob.send("user", target_ids=[fresh("ann")], data="waits")
    bob.send("user", target_ids=[fresh("ann")], data="waits too", id="1")
    bob.hear("ack")
    ann = person("ann")
    assert waiting(ann) == (2, 0)
    assert ann.connected["resumed"] is False
    bob.send("user", target_ids=[ann.user], data="live")
    assert ann.hear_data(3) == ["waits", "waits too", "live"]
    assert ann.is_served()


def test_what_waits_keeps_its_sender_id_place_and_time(node, person, fresh):
    bob = person("bob")
    bob.send("user", target_ids=[fresh("ann"), bob.user], data={"n": 1.50}, id="mine")
    heard = {message["type"]: message for message in (bob.hear(), bob.hear())}
    assert heard["ack"]["id"] == "mine"
    assert person("ann").hear("user") == heard["user"]


def test_nothing_but_messages_to_users_waits(hub, join_hub):
    hub.publish([{"type": "broadcast", "data": 1}, {"type": "room", "room_id": "r", "data": 2}])
    ann = join_hub(hub, "ann")
    assert waiting(ann) == (0, 0)
    assert ann.is_served()


def test_a_pong_is_a_receipt(hub, join_hub):
    hub.publish([to("ann", number) for number in range(3)])
    ann = join_hub(hub, "ann")
    assert waiting(ann) == (3, 0)
    assert ann.hear_data(3) == [0, 1, 2]
    assert until(lambda: queued(hub) == 0), "the library has answered the ping behind them"
    ann.close()
    assert waiting(join_hub(hub, "ann")) == (0, 0)


def test_a_client_that_answers_no_ping_leaves_its_messages_queued(hub, dial):
    for waiting_before in range(3):
        ann = dial(hub)
        ann.open("ann")
        assert ann.connected["pending"] == waiting_before
        ann.send(to_user("ann", "note"))
        assert ann.read_until(PING), "the node asks for a receipt"
        ann.close()
        assert until(lambda: hub.clients() == 0)
        assert queued(hub) == waiting_before + 1


def test_a_pong_with_another_number_is_no_receipt(hub, dial):
    ann = dial(hub)
    ann.open("ann")
    hub.publish(to("ann", "note"))
    ping = ann.read_until(PING)
    for payload in (b"", b"x", bytes(len(ping.payload)), ping.payload + b"\0", b"\xff" * 125):
        ann.send(frame(PONG, payload))
    assert ann.is_served()
    assert queued(hub) == 1
    ann.send(frame(PONG, ping.payload))
    assert ann.is_served()
    assert until(lambda: queued(hub) == 0)


def test_with_acknowledgements_of_its_own_a_pong_is_none(hub, join_hub):
    ann = join_hub(hub, "ann", asks={"ack": 1})
    hub.publish([to("ann", number) for number in range(3)])
    heard = [ann.hear("user") for _ in range(3)]
    assert ann.is_served()
    ann.close()
    ann = join_hub(hub, "ann", asks={"ack": 1})
    assert waiting(ann) == (3, 0)
    assert [ann.hear("user") for _ in range(3)] == heard
    ann.send("ack", cursor=heard[1]["cursor"])
    assert ann.is_served(), "an ack is not answered"
    ann.close()
    ann = join_hub(hub, "ann", asks={"ack": 1})
    assert waiting(ann) == (1, 0)
    assert ann.hear("user") == heard[2]
    ann.send("ack", cursor=heard[2]["cursor"])
    assert ann.is_served()
    ann.close()
    assert waiting(join_hub(hub, "ann")) == (0, 0)


def test_an_acknowledgement_may_be_said_twice(hub, join_hub):
    ann = join_hub(hub, "ann", asks={"ack": 1})
    hub.publish(to("ann", 1))
    cursor = ann.hear("user")["cursor"]
    for _ in range(2):
        ann.send("ack", cursor=cursor)
    assert ann.is_served()
    assert until(lambda: queued(hub) == 0)


NEVER_GIVEN = {
    "no cursor": lambda cursor: "x",
    "the future": lambda cursor: cursor + "0",
    "another epoch": lambda cursor: "9" + cursor,
    "another partition": lambda cursor: cursor.replace(":0:", ":1:"),
    "100 KiB": lambda cursor: "x" * 100 * KIB,
}


@pytest.mark.parametrize("spoil", NEVER_GIVEN.values(), ids=NEVER_GIVEN.keys())
def test_what_was_never_given_cannot_be_acknowledged(hub, join_hub, spoil):
    ann = join_hub(hub, "ann", asks={"ack": 1})
    hub.publish(to("ann", 1))
    ann.send("ack", cursor=spoil(ann.hear("user")["cursor"]))
    ann.hear_error("bad_cursor")
    hub.publish(to("ann", 2))
    assert ann.hear("user")["data"] == 2
    assert ann.is_served()
    assert queued(hub) == 2


def test_nobody_acknowledges_for_another_user(hub, join_hub):
    ann, mallory = join_hub(hub, "ann", asks={"ack": 1}), join_hub(hub, "mallory", asks={"ack": 1})
    hub.publish([to("ann", 1), to("mallory", 2)])
    cursor = ann.hear("user")["cursor"]
    mallory.hear("user")
    mallory.send("ack", cursor=cursor)
    assert mallory.is_served()
    assert queued(hub) == 2


def test_what_waits_comes_to_every_device_until_one_has_received_it(hub, join_hub):
    hub.publish(to("ann", "waits"))
    laptop, phone = [join_hub(hub, "ann", asks={"ack": 1}) for _ in range(2)]
    assert waiting(laptop) == waiting(phone) == (1, 0)
    heard = laptop.hear("user")
    assert phone.hear("user") == heard
    phone.send("ack", cursor=heard["cursor"])
    assert phone.is_served()
    tablet = join_hub(hub, "ann", asks={"ack": 1})
    assert waiting(tablet) == (0, 0)
    assert laptop.is_served()
    assert queued(hub) == 0


def test_of_101_messages_the_oldest_is_missed_and_that_is_told_once(hub, join_hub):
    hub.publish([to("ann", number) for number in range(101)])
    ann = join_hub(hub, "ann", asks={"ack": 1})
    assert waiting(ann) == (100, 1)
    assert ann.hear_data(100) == list(range(1, 101))
    ann.close()
    assert waiting(join_hub(hub, "ann")) == (100, 0)


def test_how_many_wait_may_be_set(start, join_hub):
    node = start("offline.messages=3")
    node.publish([to("ann", number) for number in range(10)])
    ann = join_hub(node, "ann")
    assert waiting(ann) == (3, 7)
    assert ann.hear_data(3) == [7, 8, 9]


def test_what_has_waited_too_long_is_missed(start, join_hub):
    node = start("offline.ttl=1s")
    node.publish([to("ann", number) for number in range(2)])
    assert until(lambda: node.get("/stats").json["ledger"]["expired"] == 2)
    assert queued(node) == 0
    ann = join_hub(node, "ann")
    assert waiting(ann) == (0, 2)
    assert ann.is_served(), "what stands in the log still, but waits no more, isn't given"
    assert waiting(join_hub(node, "ann")) == (0, 0)


def test_large_messages_push_each_other_out(start, join_hub):
    node = start('offline.user_bytes="1MiB"')
    for number in range(4):
        node.publish(to("ann", str(number) * 400 * KIB))
    node.publish(to("bob", "small"))
    ann = join_hub(node, "ann")
    assert waiting(ann) == (2, 2)
    assert [data[0] for data in ann.hear_data(2)] == ["2", "3"]
    assert waiting(join_hub(node, "bob")) == (1, 0)


def test_queues_of_users_who_never_come_are_bounded_and_counted(start, join_hub):
    node = start('offline.user_bytes="1MiB"', 'offline.total_bytes="2MiB"', 'log.bytes="1MiB"')
    for number in range(100):
        nobody = [f"nobody-{number}-{each}" for each in range(100)]
        message = {"type": "user", "target_ids": nobody, "data": "x" * KIB}
        assert node.publish(message).status == 200
    stats = node.get("/stats").json
    assert stats["queues"]["bytes"] <= 2 * MIB
    ledger = stats["ledger"]
    assert ledger["dropped"]["queues_full"] > 0
    assert ledger["queued"] + ledger["dropped"]["queues_full"] == 100 * 100
    assert waiting(join_hub(node, "nobody-99-99")) == (1, 0), "who was written to last still waits"
    assert join_hub(node, "nobody-0-0").connected["pending"] == 0


def test_a_message_older_than_the_place_that_a_client_kept_still_waits(hub, join_hub, come_back):
    ann = join_hub(hub, "ann", asks={"ack": 1})
    hub.publish([to("ann", "unread"), {"type": "broadcast", "data": "heard"}])
    assert ann.hear_data(2) == ["unread", "heard"]
    hub.publish({"type": "broadcast", "data": "heard too"})
    ann.hear("broadcast")
    ann = come_back(ann, ack=1)
    assert (ann.connected["resumed"], ann.connected["pending"]) == (True, 1)
    assert ann.hear("user")["data"] == "unread"
    assert ann.is_served()


def test_a_repeated_publish_waits_once(node, person, fresh):
    bob = person("bob")
    for _ in range(2):
        bob.send("user", target_ids=[fresh("ann")], data="once", id="said-twice")
        bob.hear("ack")
    ann = person("ann")
    assert waiting(ann) == (1, 0)
    assert ann.hear("user")["data"] == "once"
    assert ann.is_served()
