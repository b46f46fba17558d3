"""Frames that break RFC 6455: the right close code at once, and nobody else notices."""

import pytest
from wire import BINARY, CLOSE, CONTINUATION, PING, TEXT, close_payload, frame, header, to_user

KIB = 1024
PING_MESSAGE = b'{"type":"ping"}'

BREACHES = {
    "an unmasked text": frame(TEXT, PING_MESSAGE, masked=False),
    "an unmasked ping": frame(PING, masked=False),
    "the first reserved bit without deflate": frame(TEXT, PING_MESSAGE, reserved=4),
    "the second reserved bit": frame(TEXT, PING_MESSAGE, reserved=2),
    "the third reserved bit": frame(TEXT, PING_MESSAGE, reserved=1),
    "a reserved bit on a ping": frame(PING, reserved=4),
    "the reserved opcode 3": frame(3, PING_MESSAGE),
    "the reserved opcode 7": frame(7),
    "the reserved control opcode 11": frame(11),
    "the reserved control opcode 15": frame(15),
    "a short length in 2 bytes": header(TEXT, 15, size=2),
    "a length of 125 in 2 bytes": header(TEXT, 125, size=2),
    "a short length in 8 bytes": header(TEXT, 15, size=8),
    "a length of 65535 in 8 bytes": header(TEXT, 65535, size=8),
    "a ping of 126 bytes": header(PING, 126),
    "a close of 126 bytes": header(CLOSE, 126),
    "a ping in fragments": frame(PING, b"a", fin=False),
    "a continuation of nothing": frame(CONTINUATION, PING_MESSAGE),
    "a text within a text": frame(TEXT, b'{"ty', fin=False) + frame(TEXT, b'pe":"ping"}'),
    "a binary within a text": frame(TEXT, b'{"ty', fin=False) + frame(BINARY, b'pe":"ping"}'),
    "a close of one byte": frame(CLOSE, b"\x03"),
    "a close with code 999": frame(CLOSE, close_payload(999)),
    "a close with code 1004": frame(CLOSE, close_payload(1004)),
    "a close with code 1005": frame(CLOSE, close_payload(1005)),
    "a close with code 1006": frame(CLOSE, close_payload(1006)),
    "a close with code 5000": frame(CLOSE, close_payload(5000)),
}


@pytest.mark.parametrize("data", BREACHES.values(), ids=BREACHES.keys())
def test_a_breach_of_the_protocol_ends_the_connection_with_1002(wire, data):
    ann, bob = wire("ann"), wire("bob")
    ann.send(data)
    assert ann.read_close() == 1002
    assert bob.is_served()


@pytest.mark.parametrize("length", [1 << 63, (1 << 64) - 1, (1 << 63) | 5])
def test_a_length_with_the_highest_bit_is_no_length(wire, length):
    ann = wire("ann")
    ann.send(header(TEXT, length))
    assert ann.read_close() in {1002, 1009}


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("length", [512 * KIB + 1, 513 * KIB, 1 << 32, 1 << 62, (1 << 63) - 1])
def test_an_announced_length_that_is_too_big_is_refused_before_the_payload_comes(
    wire, opcode, length
):
    ann = wire("ann")
    ann.send(header(opcode, length))
    assert ann.read_close() == 1009


def test_fragments_are_too_big_by_their_sum(wire):
    ann = wire("ann")
    ann.send(frame(TEXT, b"x" * (300 * KIB), fin=False))
    ann.send(header(CONTINUATION, 213 * KIB, fin=False))
    assert ann.read_close() == 1009


def test_512_kib_in_fragments_are_not_too_big(wire):
    ann = wire("ann")
    start, end = b'{"type":"broadcast","data":"', b'"}'
    message = start + b"x" * (512 * KIB - len(start) - len(end)) + end
    parts = [message[at : at + 64 * KIB] for at in range(0, len(message), 64 * KIB)]
    ann.send(frame(TEXT, parts[0], fin=False))
    for part in parts[1:-1]:
        ann.send(frame(CONTINUATION, part, fin=False))
    ann.send(frame(CONTINUATION, parts[-1]))
    assert ann.read_until(TEXT).payload.count(b"x") >= 500 * KIB


@pytest.mark.parametrize(
    "bad",
    [b"\xff", b"\x80", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf5", b"\xe2\x28"],
    ids=lambda bad: bad.hex(),
)
def test_invalid_utf8_fails_within_the_frame(wire, bad):
    """The rest of the frame never comes: the server must not wait for it."""
    ann = wire("ann")
    whole = frame(TEXT, b'{"type":"broadcast","data":"' + bad + b"x" * 5000)
    ann.send(whole[: len(whole) - 4900])
    assert ann.read_close() == 1007


def test_invalid_utf8_fails_within_a_later_fragment(wire):
    ann = wire("ann")
    ann.send(frame(TEXT, b'{"type":"broadcast","data":"\xce', fin=False))
    ann.send(frame(CONTINUATION, b"", fin=False))
    ann.send(frame(CONTINUATION, b"\xba\xff" + b"x" * 200)[:60])
    assert ann.read_close() == 1007


def test_half_a_letter_at_the_end_of_a_message_is_invalid(wire):
    ann = wire("ann")
    ann.send(frame(TEXT, b'{"type":"ping"}\xe2\x82'))
    assert ann.read_close() == 1007


def test_a_letter_may_be_split_over_fragments(wire):
    ann = wire("ann")
    whole = '{"type":"broadcast","data":"a😀b"}'.encode()
    for at in range(len(whole) - 1):
        ann.send(frame(CONTINUATION if at else TEXT, whole[at : at + 1], fin=False))
    ann.send(frame(CONTINUATION, whole[-1:]))
    assert '"a😀b"'.encode() in ann.read_until(TEXT).payload


def test_a_closes_reason_must_be_utf8(wire):
    ann = wire("ann")
    ann.send(frame(CLOSE, close_payload(1000, b"\xff\xfe")))
    assert ann.read_close() in {1002, 1007}


@pytest.mark.parametrize("bomb", [b"", b" "], ids=["empty", "of one byte"])
def test_a_million_tiny_fragments_cost_little_and_delay_nobody(node, wire, bomb):
    ann, bob = wire("ann"), wire("bob")
    before = node.resident_bytes()
    ann.send(frame(TEXT, b" ", fin=False))
    thousand = frame(CONTINUATION, bomb, fin=False) * 1000
    for _ in range(1000):
        if not ann.send_as_far_as_taken(thousand):
            break
        assert bob.is_served()
    assert node.resident_bytes() - before < 64 * KIB * KIB
    assert bob.is_served()


def test_an_announced_message_takes_no_memory_before_it_comes(node, dial, fresh):
    before = node.resident_bytes()
    wires = [dial(node) for _ in range(200)]
    for number, wire in enumerate(wires):
        wire.open(fresh(f"u{number}"))
        wire.send(header(TEXT, 512 * KIB) + b"x")
    assert wires[-1].send_as_far_as_taken(b"x")
    assert node.resident_bytes() - before < 64 * KIB * KIB


def test_after_a_breach_nothing_more_is_read(wire):
    ann, bob = wire("ann"), wire("bob")
    ann.send(frame(3) + to_user(bob.user, "too late"))
    assert ann.read_close() == 1002
    bob.send(to_user(bob.user, "in time"))
    assert b"in time" in bob.read_until(TEXT).payload
