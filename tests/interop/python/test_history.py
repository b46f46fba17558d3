"""What was said in a room before one came, bounded, and with no gap before what follows."""

import threading

import pytest
from people import heard_nothing_else

KIB = 1024


@pytest.fixture
def said(person, room):
    """Five messages said in the room, as somebody in it heard them."""
    ann = person("ann")
    ann.join(room)
    for number in range(5):
        ann.send("room", room_id=room, data={"n": number})
    return [ann.hear("room") for _ in range(5)]


def test_the_newest_messages_come_oldest_first_as_they_were_heard(person, room, said):
    bob = person("bob")
    joined = bob.join(room, history=3)
    assert joined["history"] == said[2:]
    assert joined["history_complete"] is False
    assert joined["cursor"] == said[-1]["cursor"]
    assert heard_nothing_else(bob, bob)


@pytest.mark.parametrize("asked", [5, 6, 100])
def test_all_that_was_ever_said_is_complete(person, room, said, asked):
    joined = person("bob").join(room, history=asked)
    assert joined["history"] == said
    # The node may have let go of something older that was said elsewhere.
    assert isinstance(joined["history_complete"], bool)


def test_on_a_node_that_has_let_go_of_nothing_all_is_known_to_be_all(start, join_hub):
    node = start()
    ann = join_hub(node, "ann")
    assert ann.join("r", history=100)["history_complete"] is True
    ann.send("room", room_id="r", data=1)
    ann.hear("room")
    for asked, complete in [(0, False), (1, True), (100, True)]:
        joined = ann.join("r", history=asked)
        assert len(joined["history"]) == min(asked, 1)
        assert joined["history_complete"] is complete


def test_who_does_not_ask_gets_none(person, room, said):
    for wish in ({}, {"history": None}):
        joined = person("bob").join(room, **wish)
        assert "history" not in joined
        assert "history_complete" not in joined


@pytest.mark.parametrize("asked", [-1, 101, 1.5, "5", True, [], 10**30])
def test_a_history_out_of_bounds_is_refused(person, room, asked):
    bob = person("bob")
    bob.send("join", room_id=room, history=asked)
    assert bob.hear_error("invalid_message")["room_id"] == room
    assert bob.is_served()


def test_what_was_said_elsewhere_or_left_no_trace_is_not_in_it(person, room, said):
    bob = person("bob")
    bob.send("room", room_id=room + "x", data="elsewhere")
    bob.send("broadcast", data="to all")
    bob.send("room", room_id=room, data="typing", ephemeral=True)
    assert bob.hear("broadcast")["data"] == "to all"
    assert bob.join(room, history=100)["history"] == said


def test_a_history_is_bounded_in_bytes_and_says_so(person, room, node):
    ann = person("ann")
    for number in range(10):
        body = {"type": "room", "room_id": room, "data": [number, "x" * 100 * KIB]}
        assert node.publish(body).status == 200
    joined = ann.join(room, history=10)
    assert [message["data"][0] for message in joined["history"]] == [5, 6, 7, 8, 9]
    assert joined["history_complete"] is False


def test_between_history_and_what_follows_nothing_is_missing_or_double(start, join_hub):
    node = start("shards=2")
    bob, last = join_hub(node, "bob"), 3000
    joiners = [join_hub(node, f"joiner{number}") for number in range(10)]

    def say_all():
        for number in range(last + 1):
            bob.send("room", room_id="r", data=number)

    saying = threading.Thread(target=say_all)
    saying.start()
    begins = []
    for ann in joiners:
        joined = ann.join("r", history=50)
        numbers = [message["data"] for message in joined["history"]]
        begins.append(len(numbers))
        while not numbers or numbers[-1] < last:
            if numbers and len(numbers) > begins[-1] + 200:
                break
            numbers.append(ann.hear("room")["data"])
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    saying.join()
    assert max(begins) == 50, "some came while much had been said"


def test_history_comes_before_what_was_missed(person, room, said):
    bob = person("bob")
    joined = bob.join(room, history=2, after=said[1]["cursor"])
    assert joined["resumed"] is True
    assert joined["history"] == said[3:]
    assert [bob.hear("room") for _ in range(3)] == said[2:]
    assert heard_nothing_else(bob, bob)
