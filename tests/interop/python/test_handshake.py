"""The upgrade: what is refused, with which status, and how long a handshake may take."""

import time

import pytest
from node import until
from wire import upgrade

KIB = 1024


def answer_to(node, dial, data):
    connection = dial(node)
    connection.send_as_far_as_taken(data)
    return connection.read_status()


def test_a_plain_request_is_told_to_upgrade(node):
    answer = node.get("/ws?user_id=ann")
    assert answer.status == 426
    assert answer.code == "upgrade_required"


@pytest.mark.parametrize("version", ["8", "14", "", "thirteen"])
def test_another_version_is_refused(node, dial, version):
    connection = dial(node)
    connection.send(upgrade("ann", version=version))
    head = connection.read_head()
    status = int(head.split(" ")[1])
    assert status in {400, 426}
    if status == 426:
        assert "sec-websocket-version: 13" in head.lower()


@pytest.mark.parametrize(
    "key", ["", "short", "not!base64!at!all!!!!!!==", "AAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
)
def test_a_key_that_is_not_16_bytes_in_base64_is_refused(node, dial, key):
    assert answer_to(node, dial, upgrade("ann", key=key)) == 400


def test_100_kib_of_headers_are_refused(node, dial):
    lines = [f"X-Filler-{number}: " + "x" * KIB for number in range(100)]
    assert answer_to(node, dial, upgrade("ann", *lines)) == 431


def test_one_header_of_100_kib_is_refused(node, dial):
    assert answer_to(node, dial, upgrade("ann", "X-Filler: " + "x" * 100 * KIB)) == 431


def test_more_than_100_headers_are_refused(node, dial):
    assert (
        answer_to(node, dial, upgrade("ann", *[f"X-{number}: x" for number in range(101)])) == 431
    )


def test_90_headers_are_fine(node, dial):
    assert answer_to(node, dial, upgrade("ann", *[f"X-{number}: x" for number in range(90)])) == 101


def test_a_long_request_line_is_refused(node, dial):
    assert answer_to(node, dial, upgrade("ann", path="/ws?user_id=ann&x=" + "x" * 9 * KIB)) == 414


def test_a_request_line_without_end_is_refused(node, dial):
    assert answer_to(node, dial, b"GET /ws?user_id=" + b"x" * 100 * KIB) == 414


def test_two_lengths_of_one_body_are_refused(node, dial):
    request = (
        b"POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 33\r\nContent-Length: 5\r\n\r\n"
        b'{"type":"broadcast","data":"xxx"}'
    )
    assert answer_to(node, dial, request) == 400


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"hello\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET\x00/ws HTTP/1.1\r\n\r\n",
        b"\r\n" * 100,
    ],
    ids=["a TLS hello", "no request", "no header", "a NUL", "empty lines"],
)
def test_what_is_no_request_is_turned_away_and_harms_nobody(start, dial, join_hub, data):
    node = start("limits.handshake_timeout=1s")
    connection = dial(node)
    connection.send(data)
    assert connection.ends()
    assert join_hub(node, "ann").is_served()


@pytest.mark.parametrize(
    "sent", [b"", b"GET", b"GET /ws?user_id=ann HTTP/1.1\r\nHost: localhost\r\n"]
)
def test_a_handshake_that_stalls_is_closed_after_its_time(start, dial, sent):
    node = start("limits.handshake_timeout=1s")
    connection = dial(node)
    begun = time.monotonic()
    connection.send(sent)
    assert connection.ends()
    assert 0.5 < time.monotonic() - begun < 5


def test_a_handshake_that_drips_is_closed_after_its_time_too(start, dial):
    node = start("limits.handshake_timeout=1s")
    connection = dial(node)
    connection.socket.settimeout(0.2)
    begun = time.monotonic()

    def has_ended():
        connection.send_as_far_as_taken(b"x")
        return connection.ends()

    connection.send(b"GET /ws?user_id=ann HTTP/1.1\r\nX-Drip: ")
    assert until(has_ended, seconds=5)
    assert time.monotonic() - begun > 0.5


def test_all_of_two_hundred_who_come_at_once_are_let_in(node, dial):
    crowd = [dial(node) for _ in range(200)]
    for number, connection in enumerate(crowd):
        connection.send(upgrade(f"guest-{number}"))
    for connection in crowd:
        assert connection.read_status() == 101
        assert b'"connected"' in connection.read_frame().text


def test_stalled_handshakes_delay_nobody(start, dial, join_hub):
    node = start("limits.handshake_timeout=3s")
    stalled = [dial(node) for _ in range(500)]
    for connection in stalled:
        connection.send(b"GET /ws?user_id=ann HTTP/1.1\r\n")
    assert join_hub(node, "ann").is_served()
    assert stalled[-1].is_open(), "the others weren't waited for"
    assert all(connection.ends() for connection in stalled)


def test_more_connections_than_files_harm_nobody_who_is_there(start, dial, join_hub):
    node = start("limits.handshake_timeout=3s", files=128)
    ann = join_hub(node, "ann")
    too_many = [dial(node) for _ in range(180)]
    assert ann.is_served()
    for connection in too_many:
        connection.close()
    assert join_hub(node, "bob").is_served(), "there is room again"
    assert ann.is_served()


def test_a_client_that_sent_nothing_after_its_handshake_stays(start, join_hub, dial):
    node = start("limits.handshake_timeout=1s")
    quiet = join_hub(node, "ann")
    stalled = dial(node)
    assert stalled.ends(), "by now the time of a handshake is over"
    assert quiet.is_served()
