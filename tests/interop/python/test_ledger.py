"""The ledger: what became of every message, held against what its clients saw."""

import threading

import pytest
from node import until
from test_metrics import scrape
from test_slow_clients import last_close
from wire import CLOSE, TEXT

KIB = 1024
# How each part is called among the metrics.
METRICS = {
    "accepted": "wshub_ledger_accepted_total",
    "delivered": "wshub_ledger_delivered_total",
    "queued": "wshub_ledger_queued",
    "expired": "wshub_ledger_expired_total",
    "duplicate": "wshub_duplicates_total",
    "in_flight": "wshub_ledger_in_flight",
}


def ledger(node):
    """The ledger, which adds up at any moment."""
    now = node.get("/stats").json["ledger"]
    parts = ["delivered", "queued", "expired", "duplicate", "in_flight"]
    gone = sum(now["dropped"].values())
    assert now["accepted"] == sum(now[part] for part in parts) + gone, now
    return now


def settled(node):
    """The ledger once nothing waits to be written any more."""
    assert until(lambda: ledger(node)["in_flight"] == 0)
    return ledger(node)


def to(user, data):
    return {"type": "user", "target_ids": [user], "data": data}


def lost(**reasons):
    """Everything that may be dropped, none of it but these."""
    names = ["too_slow", "unwritten", "gap", "ephemeral", "pushed_out", "queues_full"]
    return dict.fromkeys(names, 0) | reasons


@pytest.fixture
def busy_node(start, join_hub):
    """A node on which a little of everything happened."""
    node = start("shards=2", "offline.messages=3")
    ann, bob = join_hub(node, "ann"), join_hub(node, "bob")
    ann.send("join", room_id="r")
    ann.hear("joined")
    node.publish([{"type": "broadcast", "data": number} for number in range(5)])
    node.publish([to("ann", number) for number in range(3)])
    node.publish([{"type": "room", "room_id": room, "data": 1} for room in ("r", "r", "empty")])
    node.publish([to("carol", number) for number in range(5)])
    node.publish([{"type": "broadcast", "data": "twice", "id": "1"}] * 2)
    refused = node.publish({"type": "broadcast", "data": "other", "id": "1"})
    assert refused.code == "id_reused"
    ann.hear_data(5 + 3 + 2 + 1), bob.hear_data(5 + 1)
    assert until(lambda: ledger(node)["queued"] == 3), "ann's library has given its receipts"
    return node


def test_each_message_for_each_receiver_is_accounted_for(busy_node):
    now = settled(busy_node)
    assert now["delivered"] == 6 * 2 + 3 + 2
    assert now["queued"] == 3
    assert now["dropped"] == lost(pushed_out=2)
    assert now["duplicate"] == 1
    assert now["expired"] == 0
    assert now["accepted"] == 17 + 3 + 2 + 1


def test_metrics_have_the_numbers_of_the_ledger(busy_node):
    now, seen = settled(busy_node), scrape(busy_node)
    assert {part: seen[name, None] for part, name in METRICS.items()} == {
        part: now[part] for part in METRICS
    }
    dropped = {word: value for (name, word), value in seen.items() if name == "wshub_dropped_total"}
    assert dropped == now["dropped"]
    stats = busy_node.get("/stats").json
    for direction in ("in", "out"):
        for kind, number in stats[f"messages_{direction}"].items():
            assert seen[f"wshub_messages_{direction}_total", kind] == number
    assert seen["wshub_log_entries", None] == stats["log"]["entries"]
    assert seen["wshub_log_bytes", None] == stats["log"]["bytes"]
    assert seen["wshub_queue_bytes", None] == stats["queues"]["bytes"]


def test_what_expires_is_counted_as_such(start):
    node = start("offline.ttl=1s")
    node.publish([to("nobody", number) for number in range(4)])
    assert until(lambda: ledger(node)["expired"] == 4)
    assert ledger(node)["queued"] == 0


def test_a_client_that_is_too_slow_heard_what_the_ledger_says(start, join_hub, dial):
    node = start("shards=2")
    ann, sloth = join_hub(node, "ann"), dial(node, receive_buffer=4 * KIB)
    sloth.open("sloth")
    said = 0
    while node.clients() == 2:
        node.publish([{"type": "broadcast", "data": "x" * 16 * KIB}] * 20)
        said += 20
    ann.hear_data(said)
    now = settled(node)
    heard = whole_messages(sloth)
    assert now["delivered"] - said == heard
    dropped = now["dropped"]
    too_slow, unwritten = dropped["too_slow"], dropped["unwritten"]
    assert dropped == lost(too_slow=too_slow, unwritten=unwritten)
    assert too_slow + unwritten > 0
    assert now["accepted"] <= 2 * said


def whole_messages(wire):
    """Reads to the end; how many messages came whole."""
    number = 0
    try:
        while (got := wire.read_frame()).opcode != CLOSE:
            number += got.opcode == TEXT
    except (EOFError, ConnectionResetError):
        pass
    return number


def test_a_message_to_a_user_who_is_too_slow_is_not_lost(start, dial):
    node = start("shards=1", "offline.messages=1000", 'offline.user_bytes="64MiB"')
    sloth = dial(node, receive_buffer=4 * KIB)
    sloth.open("sloth")
    said = 0
    while node.clients() == 1:
        node.publish([to("sloth", "x" * 16 * KIB)] * 20)
        said += 20
    assert last_close(sloth) in {4008, None}
    now = settled(node)
    assert (now["accepted"], now["queued"], now["delivered"]) == (said, said, 0)


def test_the_ledger_adds_up_at_any_moment(start, join_hub):
    node = start("shards=2")
    people = [join_hub(node, f"guest-{number}") for number in range(10)]
    mixed = [to(f"guest-{number % 20}", number) for number in range(40)]
    mixed += [{"type": "broadcast", "data": 1}] * 10
    publishers = [
        threading.Thread(target=lambda: [node.publish(mixed) for _ in range(20)]) for _ in range(2)
    ]
    for publisher in publishers:
        publisher.start()
    looks = 0
    while any(publisher.is_alive() for publisher in publishers):
        ledger(node)
        looks += 1
    assert looks
    for person in people:
        person.hear_data(40 * (2 + 10))
    now = settled(node)
    assert now["accepted"] == 40 * (40 + 10 * 10)
    assert until(lambda: ledger(node)["delivered"] == 40 * (20 + 10 * 10))
