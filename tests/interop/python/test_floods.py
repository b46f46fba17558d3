"""Clients that send all they can: what a node holds for them is bounded, others are served."""

import contextlib
import json
import threading

from wire import PING, TEXT, frame

MIB = 1024 * 1024
# What one flood may add to a node's memory: a few reads' worth of answers, no more.
LITTLE = 40 * MIB


def read_to_the_end(client):
    """Reads until there is no more, or the test has ended and closed the socket."""
    with contextlib.suppress(OSError):
        client.ends()


def flood(client, data, times):
    """Sends the same again and again while another thread reads whatever comes back."""
    reader = threading.Thread(target=read_to_the_end, args=[client], daemon=True)
    reader.start()
    return all(client.send_as_far_as_taken(data) for _ in range(times))


def test_a_flood_of_broken_messages_by_a_client_that_reads_holds_little(start, dial, join_hub):
    node = start("shards=1")
    flooder, bob = dial(node), join_hub(node, "bob")
    flooder.open("mallory")
    before = node.resident_bytes()
    flood(flooder, frame(TEXT, b"{}") * 8192, 250)
    assert bob.is_served()
    assert node.resident_bytes() - before < LITTLE


def test_a_flood_of_pings_by_a_client_that_reads_holds_little(start, dial, join_hub):
    node = start("shards=1")
    flooder, bob = dial(node), join_hub(node, "bob")
    flooder.open("mallory")
    before = node.resident_bytes()
    flood(flooder, frame(PING) * 8192, 250)
    assert bob.is_served()
    assert node.resident_bytes() - before < LITTLE


def test_long_lists_of_targets_count_for_the_bound_of_the_log(start, dial, join_hub):
    node = start("shards=1", 'log.bytes="8MiB"')
    flooder, bob = dial(node), join_hub(node, "bob")
    flooder.open("mallory")
    before = node.resident_bytes()
    targets = [f"{number:0>128}" for number in range(100)]
    message = json.dumps({"type": "user", "target_ids": targets, "data": 1})
    flood(flooder, frame(TEXT, message.encode()) * 10, 800)
    assert bob.is_served()
    assert node.get("/stats").json["log"]["bytes"] <= 8 * MIB
    assert node.resident_bytes() - before < LITTLE


def test_a_small_message_in_two_pieces_is_not_what_a_full_budget_costs(start, dial, join_hub):
    node = start("shards=1", 'limits.partial_bytes="2MiB"')
    hoarders = [dial(node) for _ in range(8)]
    for number, hoarder in enumerate(hoarders):
        hoarder.open(f"mallory{number}")
        hoarder.send(frame(TEXT, b" " * 400_000)[:-1])
    ann = dial(node)
    ann.open("ann")
    ping = frame(TEXT, b'{"type":"ping"}')
    ann.send(ping[:9])
    assert join_hub(node, "bob").is_served(), "the node has read the first piece"
    ann.send(ping[9:])
    assert ann.read_until(TEXT).text == b'{"type":"pong"}'


def test_a_node_that_is_behind_stops_as_soon_as_any_other(start, dial):
    node = start("shards=1", "drain.timeout=2s")
    listeners = [dial(node) for _ in range(100)]
    for number, listener in enumerate(listeners):
        listener.open(f"listener{number}")
        threading.Thread(target=read_to_the_end, args=[listener], daemon=True).start()
    flooder = dial(node)
    flooder.open("mallory")
    flood(flooder, frame(TEXT, b'{"type":"broadcast","data":1}') * 5000, 40)
    assert node.end(seconds=15) == 0
