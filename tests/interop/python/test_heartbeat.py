"""The node asks whether a client is alive; who doesn't answer is closed with 4000."""

import time

import pytest
from wire import CLOSE, PING, PONG, TEXT, frame

QUICK = ("heartbeat.interval=1s", "heartbeat.timeout=2s")


@pytest.fixture
def node(start):
    return start(*QUICK)


def test_a_client_that_answers_no_ping_is_closed_with_4000(node, dial):
    ann = dial(node)
    ann.open("ann")
    begun = time.monotonic()
    assert ann.read_frame().opcode == PING
    assert ann.read_close() == 4000
    assert 1.5 < time.monotonic() - begun < 8


def test_a_client_that_answers_its_pings_stays(node, dial):
    ann = dial(node)
    ann.open("ann")
    for _ in range(4):
        ping = ann.read_until(PING)
        ann.send(frame(PONG, ping.payload))
    assert ann.is_served()


def test_any_frame_counts_as_life(node, dial):
    ann = dial(node)
    ann.open("ann")
    ann.socket.settimeout(0.5)
    end = time.monotonic() + 4
    while time.monotonic() < end:
        ann.send(frame(TEXT, b'{"type":"ping"}'))
        try:
            while (got := ann.read_frame()).opcode != CLOSE:
                pass
            pytest.fail(f"closed though it spoke: {got}")
        except TimeoutError:
            pass


def test_a_library_that_answers_pings_by_itself_stays(node, join_hub, dial):
    ann = join_hub(node, "ann")
    silent = dial(node)
    silent.open("silent")
    assert silent.read_close() == 4000, "by now the time of a heartbeat is over"
    assert ann.is_served()


def test_the_other_connections_of_a_user_stay(node, join_hub, dial):
    phone = join_hub(node, "ann")
    silent = dial(node)
    silent.open("ann")
    assert silent.read_close() == 4000
    assert phone.is_served()
    assert node.clients() == 1
