"""Frames as RFC 6455 allows them, in the shapes that libraries seldom send."""

import pytest
from wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    close_payload,
    frame,
    to_user,
    upgrade,
)

PING_MESSAGE = b'{"type":"ping"}'
PONG_MESSAGE = b'{"type":"pong"}'


def test_a_frame_may_come_in_single_bytes(wire):
    ann = wire("ann")
    ann.send_in_single_bytes(frame(TEXT, PING_MESSAGE) + frame(PING, b"still there?"))
    assert {ann.read_frame().payload for _ in range(2)} == {PONG_MESSAGE, b"still there?"}


def test_a_longer_frame_may_come_in_single_bytes(wire):
    ann = wire("ann")
    ann.send_in_single_bytes(frame(TEXT, b'{"type":"broadcast","data":"' + b"x" * 300 + b'"}'))
    assert b"x" * 300 in ann.read_frame().payload


def test_many_frames_may_come_in_one_packet(wire):
    ann = wire("ann")
    ann.send(frame(TEXT, PING_MESSAGE) * 100)
    assert [ann.read_frame().payload for _ in range(100)] == [PONG_MESSAGE] * 100


def test_frames_may_come_in_one_packet_with_the_handshake(node, dial):
    ann = dial(node)
    ann.send(
        upgrade("ann")
        + frame(TEXT, PING_MESSAGE)
        + frame(PING, b"p")
        + frame(TEXT, PING_MESSAGE)[:7]
    )
    assert ann.read_status() == 101
    frames = [ann.read_frame() for _ in range(3)]
    messages = [got.payload for got in frames if got.opcode == TEXT]
    assert b'"connected"' in messages[0], "the first message"
    assert messages[1] == PONG_MESSAGE
    assert [got.payload for got in frames if got.opcode == PONG] == [b"p"]
    ann.send(frame(TEXT, PING_MESSAGE)[7:])
    assert ann.read_frame().payload == PONG_MESSAGE


def test_many_frames_may_come_in_one_packet_with_the_handshake(node, dial):
    ann = dial(node)
    ann.send(upgrade("ann") + frame(TEXT, PING_MESSAGE) * 2000)
    assert ann.read_status() == 101
    assert b'"connected"' in ann.read_frame().payload
    assert [ann.read_frame().payload for _ in range(2000)] == [PONG_MESSAGE] * 2000


def test_a_handshake_may_come_in_single_bytes(node, dial):
    ann = dial(node)
    ann.send_in_single_bytes(upgrade("ann"))
    assert ann.read_status() == 101
    assert b'"connected"' in ann.read_frame().payload


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_may_come_in_fragments_with_a_ping_between(wire, opcode):
    ann = wire("ann")
    ann.send(frame(opcode, b'{"type', fin=False))
    ann.send(frame(PING, b"between"))
    pong = ann.read_frame()
    assert (pong.opcode, pong.payload) == (PONG, b"between")
    ann.send(frame(CONTINUATION, b"", fin=False) + frame(CONTINUATION, b'":"ping"}'))
    assert ann.read_frame().payload == PONG_MESSAGE


@pytest.mark.parametrize("payload", [b"", b"x", bytes(range(125))])
def test_a_ping_frame_is_answered_with_its_payload(wire, payload):
    ann = wire("ann")
    ann.send(frame(PING, payload))
    pong = ann.read_frame()
    assert (pong.opcode, pong.payload, pong.fin, pong.reserved) == (PONG, payload, True, 0)


def test_a_pong_that_nobody_asked_for_is_fine(wire):
    ann = wire("ann")
    ann.send(frame(PONG, b"here I am"))
    assert ann.is_served()


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
def test_a_close_is_answered_and_the_connection_ends(wire, code):
    ann = wire("ann")
    ann.send(frame(CLOSE, close_payload(code, b"bye")))
    answer = ann.read_frame()
    assert (answer.opcode, answer.code) == (CLOSE, code)
    assert ann.ends()


def test_a_close_without_a_code_is_answered(wire):
    ann = wire("ann")
    ann.send(frame(CLOSE))
    assert ann.read_frame().code in {None, 1000}
    assert ann.ends()


def test_what_was_said_before_the_close_is_heard(wire):
    ann, bob = wire("ann"), wire("bob")
    ann.send(to_user(bob.user, "a last word") + frame(CLOSE, close_payload(1000)))
    assert b"a last word" in bob.read_until(TEXT).payload


def test_after_a_close_frame_nothing_more_is_read(wire):
    ann, bob = wire("ann"), wire("bob")
    ann.send(frame(CLOSE, close_payload(1000)) + to_user(bob.user, "too late"))
    assert ann.read_frame().code == 1000
    assert ann.ends()
    bob.send(to_user(bob.user, "in time"))
    assert b"in time" in bob.read_until(TEXT).payload


def test_a_connection_that_just_ends_harms_nobody(wire):
    ann, bob = wire("ann"), wire("bob")
    ann.send(frame(TEXT, PING_MESSAGE)[:5])
    ann.close()
    assert bob.is_served()
