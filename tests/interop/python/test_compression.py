"""permessage-deflate: negotiated by every valid offer, without context takeover, and bounded."""

import json
import zlib

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from wire import CONTINUATION, PING, PONG, TEXT, frame, upgrade

KIB = 1024
OFFER = "Sec-WebSocket-Extensions: permessage-deflate"
WORDS = json.dumps({"words": [f"a word and a word and {number % 7}" for number in range(100)]})


def deflated(data):
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def extension_of(head):
    lines = [
        line for line in head.split("\r\n") if line.lower().startswith("sec-websocket-extensions:")
    ]
    return lines[0].split(":", 1)[1].strip().lower() if lines else None


def say(data, **options):
    return frame(TEXT, deflated(data), reserved=4, **options)


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=10",
        "permessage-deflate; server_max_window_bits=15",
        "permessage-deflate; server_max_window_bits=10",
        'permessage-deflate; server_max_window_bits="12"',
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; unknown=1, permessage-deflate",
        "x-other, permessage-deflate; client_max_window_bits",
        "permessage-deflate;client_max_window_bits ;  server_no_context_takeover",
    ],
)
def test_every_valid_offer_is_accepted_without_context_takeover(node, dial, offer):
    ann = dial(node)
    answer = extension_of(ann.open("ann", f"Sec-WebSocket-Extensions: {offer}"))
    assert answer
    assert "," not in answer, "one extension, once"
    parameters = [part.strip() for part in answer.split(";")]
    if "server_max_window_bits=10" in offer:
        assert "server_max_window_bits=10" in parameters, "a window that was asked for is kept to"
    if "client_max_window_bits" not in offer:
        assert not any(part.startswith("client_max_window_bits") for part in parameters), (
            "not offered"
        )
    assert parameters[0] == "permessage-deflate"
    assert "server_no_context_takeover" in parameters
    assert "client_no_context_takeover" in parameters
    assert ann.is_served()


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate; unknown",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; client_max_window_bits=08",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_max_window_bits=10; client_max_window_bits=12",
        "x-webkit-deflate-frame",
    ],
)
def test_an_invalid_offer_is_declined_and_the_client_connects_without(node, dial, offer):
    ann = dial(node)
    assert extension_of(ann.open("ann", f"Sec-WebSocket-Extensions: {offer}")) is None
    assert ann.is_served()


def test_a_message_is_compressed_for_those_who_negotiated_it_and_plain_for_the_others(wire):
    ann, plain, sender = wire("ann", OFFER), wire("plain"), wire("sender")
    targets = f'["{ann.user}","{plain.user}"]'
    message = f'{{"type":"user","target_ids":{targets},"data":{WORDS}}}'
    sender.send(frame(TEXT, message.encode()))
    compressed, whole = ann.read_until(TEXT), plain.read_until(TEXT)
    assert len(compressed.payload) < len(whole.payload) / 4
    assert (compressed.reserved, whole.reserved) == (4, 0)
    assert compressed.text == whole.payload
    assert WORDS.encode() in whole.payload


def test_each_message_inflates_by_itself(wire):
    ann = wire("ann", OFFER)
    for _ in range(3):
        ann.send(say(f'{{"type":"broadcast","data":{WORDS}}}'.encode()))
        assert WORDS.encode() in ann.read_until(TEXT).text


def test_a_client_may_mix_compressed_and_plain_messages(wire):
    ann = wire("ann", OFFER)
    ann.send(
        frame(TEXT, b'{"type":"ping"}') + say(b'{"type":"ping"}') + frame(TEXT, b'{"type":"ping"}')
    )
    for _ in range(3):
        assert ann.read_until(TEXT).text == b'{"type":"pong"}'


def test_a_compressed_message_may_come_in_fragments_with_a_ping_between(wire):
    ann = wire("ann", OFFER)
    data = deflated(f'{{"type":"broadcast","data":{WORDS}}}'.encode())
    ann.send(frame(TEXT, data[:5], fin=False, reserved=4) + frame(PING, b"p"))
    assert ann.read_frame().opcode == PONG
    for at in range(5, len(data)):
        ann.send(frame(CONTINUATION, data[at : at + 1], fin=False))
    ann.send(frame(CONTINUATION))
    assert WORDS.encode() in ann.read_until(TEXT).text


@pytest.mark.parametrize(
    "data",
    [
        frame(CONTINUATION, b"x", reserved=4),
        frame(TEXT, b'{"ty', fin=False) + frame(CONTINUATION, b'pe":"ping"}', reserved=4),
        frame(PING, b"x", reserved=4),
    ],
    ids=["a continuation of nothing", "a later fragment", "a ping"],
)
def test_only_a_messages_first_frame_may_say_that_it_is_compressed(wire, data):
    ann = wire("ann", OFFER)
    ann.send(data)
    assert ann.read_close() == 1002


def test_what_does_not_inflate_ends_the_connection(wire):
    ann, bob = wire("ann", OFFER), wire("bob")
    ann.send(frame(TEXT, b"\xff" * 50, reserved=4))
    assert ann.read_close() in {1002, 1007}
    assert bob.is_served()


def test_invalid_utf8_within_a_compressed_message_is_invalid(wire):
    ann = wire("ann", OFFER)
    ann.send(say(b'{"type":"broadcast","data":"\xff"}'))
    assert ann.read_close() == 1007


@pytest.mark.parametrize("mebibytes", [1, 100])
def test_a_bomb_is_too_big_while_it_inflates(node, wire, mebibytes):
    ann, bob = wire("ann", OFFER), wire("bob")
    bomb = say(b" " * (mebibytes * KIB * KIB))
    assert len(bomb) < 512 * KIB
    before = node.resident_bytes()
    ann.send_as_far_as_taken(bomb)
    assert ann.read_close() == 1009
    assert node.resident_bytes() - before < 32 * KIB * KIB
    assert bob.is_served()


def test_half_a_mebibyte_is_passed_on_through_deflate(person):
    deflate = {
        "compression": None,
        "extensions": [ClientPerMessageDeflateFactory(client_max_window_bits=True)],
    }
    ann = person("ann", **deflate)
    letters = "x" * (511 * KIB)
    ann.send("broadcast", data=letters)
    assert ann.hear("broadcast")["data"] == letters


def test_frames_in_one_packet_with_the_handshake_may_be_compressed(node, dial):
    ann = dial(node)
    ann.send(upgrade("ann", OFFER) + say(b'{"type":"ping"}'))
    assert ann.read_status() == 101
    assert b'"connected"' in ann.read_frame().text
    assert ann.read_frame().text == b'{"type":"pong"}'
