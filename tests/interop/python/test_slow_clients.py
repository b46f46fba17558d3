"""Clients that don't read: they are let go, and nobody waits for them."""

import json
import time

import pytest
from node import until
from wire import CLOSE, TEXT, frame

KIB = 1024
SMALL_BUFFER = 4 * KIB
LARGE = json.dumps({"type": "broadcast", "data": "x" * 64 * KIB})


def test_a_client_that_never_reads_is_let_go_and_delays_nobody(start, dial, join_hub):
    node = start()
    ann, bob = join_hub(node, "ann"), join_hub(node, "bob")
    sloth = dial(node, receive_buffer=SMALL_BUFFER)
    sloth.open("sloth")
    slowest = 0.0
    for _ in range(400):
        begun = time.monotonic()
        ann.say(LARGE)
        assert len(ann.hear("broadcast")["data"]) == len(bob.hear("broadcast")["data"]) == 64 * KIB
        slowest = max(slowest, time.monotonic() - begun)
        if node.clients() == 2:
            break
    assert node.clients() == 2, "the one that doesn't read is gone"
    assert slowest < 5, "the others were served all the while"
    assert last_close(sloth) in {4008, None}
    assert bob.is_served()


def test_a_slow_client_of_the_same_user_delays_nobody(start, dial, join_hub):
    node = start("shards=1")
    phone = join_hub(node, "ann")
    sloth = dial(node, receive_buffer=SMALL_BUFFER)
    sloth.open("ann")
    for _ in range(400):
        phone.say(LARGE)
        phone.hear("broadcast")
        if node.clients() == 1:
            break
    assert node.clients() == 1
    assert phone.is_served()


def test_without_progress_a_client_is_let_go_however_little_waits(start, dial, join_hub):
    node = start(
        "limits.write_timeout=1s", "limits.queue_messages=100000", 'limits.queue_bytes="512MiB"'
    )
    ann = join_hub(node, "ann")
    sloth = dial(node, receive_buffer=SMALL_BUFFER)
    sloth.open("sloth")
    for _ in range(250):
        ann.say(LARGE)
        ann.hear("broadcast")
    assert until(lambda: node.clients() == 1)
    assert last_close(sloth) in {4008, None}
    assert ann.is_served()


def test_a_burst_is_not_slowness(start, join_hub):
    """A thousand messages at once are more than an outbox holds, but the kernel takes them all."""
    node = start()
    ann = join_hub(node, "ann")
    for _ in range(2):
        node.publish([{"type": "broadcast", "data": number} for number in range(1000)])
    assert [ann.hear("broadcast")["data"] for _ in range(2000)] == list(range(1000)) * 2


@pytest.mark.parametrize("verb", ["ping", "broken"])
def test_a_client_that_asks_without_reading_the_answers_is_let_go(start, dial, join_hub, verb):
    """Answers are bounded like messages: asking without end costs only the asker."""
    node = start()
    ann = join_hub(node, "ann")
    greedy = dial(node, receive_buffer=SMALL_BUFFER)
    greedy.open("greedy")
    greedy.socket.settimeout(1)
    before = node.resident_bytes()
    asked = ask_without_reading(greedy, verb)
    assert asked
    assert ann.is_served()
    assert node.resident_bytes() - before < 32 * KIB * KIB


def ask_without_reading(wire, verb):
    """Asks until the node takes no more or hangs up, at most 64 MiB; how much it took."""
    question = {"ping": b'{"type":"ping"}', "broken": b"{"}[verb]
    many = frame(TEXT, question) * 2000
    asked = 0
    while asked < 64 * KIB * KIB:
        try:
            wire.send(many)
        except (TimeoutError, ConnectionError):
            break
        asked += len(many)
    return asked


def last_close(wire):
    """Reads to the end; the code of the close frame, None where the connection just ended."""
    try:
        while (got := wire.read_frame()).opcode != CLOSE:
            pass
    except (EOFError, ConnectionResetError):
        return None
    return got.code
