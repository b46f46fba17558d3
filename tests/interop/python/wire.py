"""A client on a bare socket, for the bytes that no library would send."""

import base64
import json
import os
import socket
import struct
import zlib
from dataclasses import dataclass
from urllib.parse import urlencode

from node import SECONDS

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


@dataclass
class Frame:
    opcode: int
    payload: bytes
    fin: bool
    reserved: int

    @property
    def text(self):
        """The payload, inflated where the frame says that it is compressed."""
        if self.reserved != 4:
            return self.payload
        return zlib.decompressobj(wbits=-15).decompress(self.payload + b"\x00\x00\xff\xff")

    @property
    def code(self):
        assert self.opcode == CLOSE, self
        return int.from_bytes(self.payload[:2], "big") if self.payload else None


def frame(opcode, payload=b"", *, fin=True, reserved=0, masked=True):
    """One frame as it should be, but for what is asked otherwise."""
    return header(opcode, len(payload), fin=fin, reserved=reserved, masked=masked) + (
        mask(payload) if masked else payload
    )


# A mask of zeros is a mask; this one shows that the server takes it off.
MASK = b"\x5a\xa5\x0f\xf0"


def mask(payload):
    key = int.from_bytes((MASK * (len(payload) // 4 + 1))[: len(payload)], "big")
    return (int.from_bytes(payload, "big") ^ key).to_bytes(len(payload), "big")


def header(opcode, length, *, fin=True, reserved=0, masked=True, size=None):
    """A header announcing a length, in its shortest form unless a size in bytes is named."""
    if size is None:
        size = 0 if length < 126 else 2 if length < 65536 else 8
    short = {0: length, 2: 126, 8: 127}[size]
    extended = {0: b"", 2: struct.pack("!H", length & 0xFFFF), 8: struct.pack("!Q", length)}[size]
    first = fin << 7 | reserved << 4 | opcode
    return bytes([first, masked << 7 | short]) + extended + (MASK if masked else b"")


def to_user(user, data):
    """A frame with a message to a user."""
    message = {"type": "user", "target_ids": [user], "data": data}
    return frame(TEXT, json.dumps(message).encode())


def close_payload(code, reason=b""):
    return code.to_bytes(2, "big") + reason


def upgrade(user, *headers, path=None, version="13", key=None):
    """The request for an upgrade, with further header lines."""
    path = path or "/ws?" + urlencode({"user_id": user})
    key = key if key is not None else base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: localhost",
        "Connection: Upgrade",
        "Upgrade: websocket",
        f"Sec-WebSocket-Version: {version}",
        f"Sec-WebSocket-Key: {key}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


class Wire:
    """A TCP connection to the node that reads whatever comes, frames included."""

    def __init__(self, node, *, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(SECONDS)
        self.socket.connect(node.address)
        self.unread = b""
        self.user = self.connected = None

    def open(self, user, *headers, **asks):
        """Makes a client of it, with further parameters; returns the response's head."""
        self.user = user
        path = "/ws?" + urlencode({"user_id": user, **asks})
        self.send(upgrade(user, *headers, path=path))
        head = self.read_head()
        assert head.startswith("HTTP/1.1 101 "), head
        self.connected = json.loads(self.read_frame().text)
        assert self.connected["type"] == "connected", self.connected
        return head

    def send(self, data):
        self.socket.sendall(data)

    def send_as_far_as_taken(self, data):
        """Sends, and doesn't mind when the node has had enough."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def send_in_single_bytes(self, data):
        for index in range(len(data)):
            self.send(data[index : index + 1])

    def read_head(self):
        while b"\r\n\r\n" not in self.unread:
            self._read_more()
        head, self.unread = self.unread.split(b"\r\n\r\n", 1)
        return head.decode()

    def read_status(self):
        return int(self.read_head().split(" ")[1])

    def read_frame(self):
        first, second = self._read(2)
        length = second & 0x7F
        if length >= 126:
            length = int.from_bytes(self._read(2 if length == 126 else 8), "big")
        assert not second & 0x80, "a server doesn't mask"
        return Frame(first & 0xF, self._read(length), bool(first & 0x80), first >> 4 & 7)

    def read_until(self, opcode):
        while (got := self.read_frame()).opcode != opcode:
            assert got.opcode != CLOSE, got
        return got

    def hear(self):
        """The next message; pings before it stay without an answer."""
        return json.loads(self.read_until(TEXT).text)

    def read_close(self):
        """Reads to the close frame and then to the end of the connection; returns the code."""
        while (got := self.read_frame()).opcode != CLOSE:
            pass
        self.send_as_far_as_taken(frame(CLOSE, got.payload[:2]))
        assert self.ends(), "after the close frame the connection ends"
        return got.code

    def ends(self):
        """Reads whatever still comes, to the end; false if no end comes."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            return False
        return True

    def is_open(self):
        """True when the node has neither said anything nor hung up so far."""
        self.socket.setblocking(False)
        try:
            return self.socket.recv(1, socket.MSG_PEEK) is None  # a byte, or the end
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(SECONDS)

    def is_served(self):
        self.send(frame(TEXT, b'{"type":"ping"}'))
        return self.read_until(TEXT).text == b'{"type":"pong"}'

    def close(self):
        self.socket.close()

    def _read(self, number):
        while len(self.unread) < number:
            self._read_more()
        taken, self.unread = self.unread[:number], self.unread[number:]
        return taken

    def _read_more(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(f"the connection ended; before that came {self.unread[:200]!r}")
        self.unread += data
