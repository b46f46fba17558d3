"""Slow clients where the policy is to let messages go: what is missing is told at its place."""

import pytest
from node import until
from test_ledger import settled
from test_slow_clients import last_close

KIB = 1024
MIB = KIB * KIB
POLICIES = (
    'slow.room=[{pattern="ticks:*",policy="latest"},{pattern="chat:*",policy="drop"}]',
    "shards=1",
)
END = {"type": "user", "target_ids": ["sloth"], "data": "the end"}


@pytest.fixture
def sloth(dial):
    """Somebody who doesn't read until they are told to, in these rooms."""

    def open_sloth(node, rooms=""):
        wire = dial(node, receive_buffer=4 * KIB)
        wire.open("sloth", rooms=rooms)
        for room in filter(None, rooms.split(",")):
            assert wire.hear()["room_id"] == room
        return wire

    return open_sloth


def large(number, **target):
    """A message of which a kernel holds few; its data starts with its number."""
    return {**target, "data": f"{number:06}".ljust(64 * KIB, ".")}


def publish_many(node, number, **target):
    for start in range(0, number, 20):
        batch = [large(each, **target) for each in range(start, min(start + 20, number))]
        assert node.publish(batch).status == 200


def hear_to_the_end(wire):
    """All that comes before the last message: numbers of those that came, and gaps."""
    heard = []
    while (message := wire.hear()).get("data") != END["data"]:
        heard.append(message if message["type"] == "gap" else int(message["data"][:6]))
    return heard


def number_of(heard):
    """How many messages these numbers and gaps stand for, each of which stands in its place."""
    expected = 0
    for one in heard:
        if isinstance(one, dict):
            assert one["dropped"] > 0
            expected += one["dropped"]
        else:
            assert one == expected, "what is missing is told where it is missing"
            expected += 1
    return expected


def gaps(heard):
    return [one for one in heard if isinstance(one, dict)]


def test_the_oldest_of_a_room_give_way_and_the_gap_is_told_in_their_place(start, sloth):
    node = start(*POLICIES)
    slow = sloth(node, "chat:1")
    publish_many(node, 400, type="room", room_id="chat:1")
    node.publish(END)
    heard = hear_to_the_end(slow)
    assert number_of(heard) == 400
    assert gaps(heard)
    assert {gap["room_id"] for gap in gaps(heard)} == {"chat:1"}
    assert heard[-1] == 399
    assert slow.is_served()
    told = sum(gap["dropped"] for gap in gaps(heard))
    assert settled(node)["dropped"]["gap"] == told
    assert f'wshub_dropped_total{{reason="gap"}} {told}\n'.encode() in node.get("/metrics").body


def test_of_a_room_whose_last_message_counts_only_that_one_waits(start, sloth):
    node = start(*POLICIES)
    slow = sloth(node, "ticks:eur")
    publish_many(node, 400, type="room", room_id="ticks:eur")
    node.publish(END)
    heard = hear_to_the_end(slow)
    assert number_of(heard) == 400
    assert [one if isinstance(one, int) else "gap" for one in heard[-2:]] == ["gap", 399]
    assert len(gaps(heard)) == 1
    assert slow.is_served()


def test_a_room_without_a_policy_is_disconnected_from(start, sloth):
    node = start(*POLICIES)
    slow = sloth(node, "news")
    publish_many(node, 400, type="room", room_id="news")
    assert until(lambda: node.clients() == 0)
    assert last_close(slow) in {4008, None}


def test_broadcasts_give_way_where_that_is_the_general_policy(start, sloth, join_hub):
    node = start('slow.policy="drop"')
    ann, slow = join_hub(node, "ann"), sloth(node)
    publish_many(node, 400, type="broadcast")
    node.publish(END)
    heard = hear_to_the_end(slow)
    assert number_of(heard) == 400
    assert gaps(heard)
    assert all("room_id" not in gap for gap in gaps(heard))
    assert [int(ann.hear("broadcast")["data"][:6]) for _ in range(400)] == list(range(400))


def test_the_cursor_of_a_gap_is_a_place_to_resume_from(start, sloth, dial):
    node = start('slow.policy="drop"')
    slow = sloth(node)
    publish_many(node, 400, type="broadcast")
    node.publish(END)
    gap = gaps(hear_to_the_end(slow))[-1]
    again = dial(node)
    again.open("again", after=gap["cursor"])
    assert again.connected["resumed"] is True


def test_messages_to_a_user_are_never_dropped(start, sloth, dial):
    node = start('slow.policy="drop"', "offline.messages=400", 'offline.user_bytes="64MiB"')
    slow = sloth(node)
    publish_many(node, 400, type="user", target_ids=["sloth"])
    assert until(lambda: node.clients() == 0)
    assert last_close(slow) in {4008, None}
    back = dial(node)
    back.open("sloth")
    assert back.connected["pending"] == 400
    assert [int(back.hear()["data"][:6]) for _ in range(400)] == list(range(400))


def test_many_who_are_a_little_slow_are_bounded_together(start, sloth, join_hub):
    settings = ('limits.outbox_total_bytes="8MiB"', 'limits.queue_bytes="64MiB"')
    node = start(*settings, "limits.queue_messages=100000", "shards=2")
    ann = join_hub(node, "ann")
    crowd = [sloth(node) for _ in range(10)]
    before = node.resident_bytes()
    for _ in range(30):
        publish_many(node, 20, type="broadcast")
        for _ in range(20):
            ann.hear("broadcast")
    assert until(lambda: node.clients() == 1), "what waits for them all is over the bound"
    assert {last_close(slow) for slow in crowd} <= {4008, None}
    assert ann.is_served()
    log = node.get("/stats").json["log"]["bytes"]
    assert node.resident_bytes() - before - log < 64 * MIB
