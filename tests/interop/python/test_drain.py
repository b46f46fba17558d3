"""A node that is told to end: balancers hear of it first, then its clients leave one by one."""

import json
import re
import signal

import pytest
from node import until
from wire import CLOSE, PING, TEXT, frame, upgrade

# Clients leave within ten seconds, more than any test waits: those who wait for it say so.
LONG = "drain.timeout=1h"
# Clients leave within two seconds.
SHORT = "drain.timeout=4s"


def farewell(node, seconds=30):
    """Waits for the node's end; how many moved and were lost, as its last line says."""
    assert node.wait(seconds) == 0
    moved, lost = re.fullmatch(r"wshub: (\d+) moved, (\d+) lost\n", node.said[-1]).groups()
    return int(moved), int(lost)


def statuses(node):
    return {path: node.get(path).status for path in ("/health", "/ready", "/live", "/stats")}


def test_balancers_hear_of_it_while_clients_may_still_come(start, join_hub):
    node = start("drain.delay=10m")
    ann = join_hub(node, "ann")
    assert set(statuses(node).values()) == {200}
    node.tell_to_end()
    assert until(lambda: node.get("/ready").status == 503)
    assert statuses(node) == {"/health": 503, "/ready": 503, "/live": 200, "/stats": 200}
    assert "Retry-After" in node.get("/ready").headers
    health = node.get("/health").json
    assert (health["status"], health["clients"]) == ("draining", 1)
    assert health["reason"]
    bob = join_hub(node, "bob")
    bob.send("broadcast", data="served")
    assert ann.hear("broadcast") == bob.hear("broadcast"), "nobody has been sent away yet"
    node.tell_to_end()
    assert ann.hear_close() == bob.hear_close() == 1001
    assert farewell(node) == (0, 0)


def test_after_the_delay_those_who_came_meanwhile_leave_with_the_others(start, join_hub):
    node = start("drain.delay=3s", "drain.timeout=2s")
    ann = join_hub(node, "ann")
    node.tell_to_end()
    assert until(lambda: node.get("/ready").status == 503)
    bob = join_hub(node, "bob")
    for one in (ann, bob):
        assert one.hear("reconnect")["delay_ms"] == 0
        assert one.hear_close() == 1012
    assert farewell(node) == (2, 0)


def test_clients_leave_at_moments_of_their_own(start, join_hub):
    node = start("shards=2", SHORT)
    crowd = [join_hub(node, f"guest-{number}") for number in range(30)]
    node.tell_to_end()
    told = [guest.hear("reconnect") for guest in crowd]
    assert all(message["reason"] for message in told)
    delays = sorted(message["delay_ms"] for message in told)
    assert 0 <= delays[0] < 1000
    assert 1000 < delays[-1] <= 2000
    assert len(set(delays)) >= 15
    assert max(later - sooner for sooner, later in zip(delays, delays[1:], strict=False)) <= 500
    assert {guest.hear_close() for guest in crowd} == {1012}
    assert farewell(node) == (30, 0)


def test_clients_are_served_until_they_leave(start, join_hub):
    node = start("shards=1", LONG)
    bob, ann = join_hub(node, "bob"), join_hub(node, "ann")
    node.tell_to_end()
    for one in (ann, bob):
        assert 0 < one.hear("reconnect")["delay_ms"] <= 10_000
    assert node.publish({"type": "broadcast", "data": "by HTTP"}).status == 200
    ann.send("user", target_ids=["bob"], data="by socket", id="1")
    assert ann.hear("broadcast") == bob.hear("broadcast")
    assert bob.hear("user")["data"] == "by socket"
    assert ann.hear("ack")["duplicate"] is False
    ann.send("join", room_id="r")
    assert ann.hear("joined")["members"] == 1
    assert statuses(node) == {"/health": 503, "/ready": 503, "/live": 200, "/stats": 200}
    assert node.get("/health").json["clients"] == 2


def test_a_draining_node_lets_nobody_in(start, join_hub, dial):
    node = start(LONG)
    ann = join_hub(node, "ann")
    node.tell_to_end()
    ann.hear("reconnect")
    late = dial(node)
    late.send(upgrade("late"))
    assert late.read_status() == 503
    assert ann.is_served()


def test_the_last_place_is_told_before_the_close(start, join_hub):
    node = start(SHORT)
    ann, bob = join_hub(node, "ann"), join_hub(node, "bob")
    node.publish({"type": "user", "target_ids": ["bob"], "data": 1})
    end = bob.hear("user")["cursor"]
    node.tell_to_end()
    ann.hear("reconnect")
    assert ann.hear("position")["cursor"] == end
    assert ann.hear_close() == 1012
    bob.hear("reconnect")
    assert bob.hear_all_to_the_close() == [], "bob knows the place from the message"
    assert farewell(node) == (2, 0)


def test_who_leaves_sooner_is_not_waited_for(start, join_hub):
    node = start(LONG)
    ann = join_hub(node, "ann")
    node.tell_to_end()
    ann.hear("reconnect")
    ann.close()
    assert farewell(node) == (1, 0)


@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(start, join_hub, dial, again):
    node = start(LONG)
    ann, silent = join_hub(node, "ann"), dial(node)
    silent.open("silent")
    node.tell_to_end()
    ann.hear("reconnect")
    node.tell_to_end(again)
    assert ann.hear_close() == 1001
    assert farewell(node, seconds=5) == (0, 0), "nobody was given the time to leave"


def test_without_time_to_leave_all_are_closed_at_once(start, join_hub):
    node = start("drain.timeout=0s")
    ann = join_hub(node, "ann")
    node.publish({"type": "user", "target_ids": ["nobody"], "data": 1})
    node.tell_to_end()
    assert [message["type"] for message in ann.hear_all_to_the_close()] == ["position"]
    assert ann.hear_close() == 1001
    assert farewell(node) == (0, 1)


def test_a_node_without_clients_or_messages_ends_at_once(start):
    node = start(LONG)
    node.tell_to_end()
    assert farewell(node) == (0, 0)


def test_messages_that_wait_in_memory_are_counted_as_lost(start, join_hub, dial):
    node = start(SHORT)
    nobody = {"type": "user", "target_ids": ["nobody", "no one"], "data": 1}
    node.publish([nobody, {"type": "broadcast", "data": "for nobody"}])
    ann, silent = join_hub(node, "ann"), dial(node)
    silent.open("silent")
    ann.send("user", target_ids=["silent", "ann"], data=2)
    assert ann.hear("user")["data"] == 2
    assert silent.read_until(PING), "it doesn't answer, so nothing says that it has the message"
    assert until(lambda: node.get("/stats").json["ledger"]["queued"] == 3)
    node.tell_to_end()
    assert ann.hear_close() == silent.read_close() == 1012
    assert farewell(node) == (2, 3)


def test_what_is_said_while_clients_leave_is_received_or_counted(start, join_hub, dial):
    """The last messages of a node are either with their user or lost, and the node knows which."""
    node = start("shards=2", SHORT, "offline.messages=10000")
    crowd = [join_hub(node, f"guest-{number}") for number in range(20)]
    talker = dial(node)
    talker.open("talker")
    node.tell_to_end()
    for guest in crowd:
        guest.hear("reconnect")
    said = 0
    while (got := talker.read_frame()).opcode != CLOSE:
        if got.opcode == TEXT and json.loads(got.text)["type"] in {"reconnect", "ack"}:
            message = {"type": "user", "target_ids": [f"guest-{said % 20}"], "data": said}
            talker.send_as_far_as_taken(
                frame(TEXT, json.dumps(message | {"id": str(said)}).encode())
            )
            said += 1
    heard = [guest.hear_all_to_the_close() for guest in crowd]
    received = sum(message["type"] == "user" for messages in heard for message in messages)
    assert all(guest.hear_close() == 1012 for guest in crowd)
    moved, lost = farewell(node)
    assert moved == 21
    # The last may have come too late to be taken; one that came without its receipt counts as lost.
    assert received + lost >= said - 1
    assert received > 0
