"""People on the hub, each with a connection of Python's websockets library."""

import contextlib
import json
import uuid
from urllib.parse import urlencode

from node import SECONDS
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

# The messages whose cursor is the place that a client keeps.
MOVES = {"broadcast", "user", "room", "position", "gap", "reset"}


class Person:
    def __init__(self, node, user=None, *, query=None, asks=None, **options):
        """Connects; `asks` are further parameters, `query` is taken in place of them all."""
        self.node, self.user = node, user
        asked = {} if user is None else {"user_id": user}
        asked |= asks or {}
        text = urlencode(asked) if query is None else query
        # Everything is read as it comes, asked for or not: nobody here is slow.
        plain = {"ping_interval": None, "compression": None, "proxy": None, "max_queue": None}
        address = f"ws://127.0.0.1:{node.port}/ws?{text}"
        timeouts = {"open_timeout": SECONDS, "close_timeout": SECONDS}
        self.stay = contextlib.ExitStack()
        self.socket = self.stay.enter_context(
            connect(address, max_size=None, **timeouts, **(plain | options))
        )
        self.connected = None
        self.cursor = asked.get("after")

    def say(self, text):
        """Sends the text as it is; bytes go in a binary frame."""
        self.socket.send(text)

    def send(self, type, **fields):  # noqa: A002 - the contract's own word
        self.say(json.dumps({"type": type, **fields}))

    def hear_text(self, patience=SECONDS):
        """The next message as it came over the wire."""
        text = self.socket.recv(timeout=patience)
        assert isinstance(text, str), "every message of the server is a text frame"
        return text

    def hear(self, type=None, patience=SECONDS):  # noqa: A002
        """The next message, which must be of this type where one is named."""
        message = json.loads(self.hear_text(patience))
        assert type in (None, message["type"]), message
        begins = message["type"] == "connected" and not message["resumed"]
        if begins or message["type"] in MOVES:
            self.cursor = message.get("cursor", self.cursor)
        return message

    def join(self, room, **wish):
        """Comes into a room; what it is told then."""
        self.send("join", room_id=room, **wish)
        joined = self.hear("joined")
        assert joined["room_id"] == room
        return joined

    def leave(self, room):
        """Leaves a room; what it is told then."""
        self.send("leave", room_id=room)
        left = self.hear("left")
        assert left["room_id"] == room
        return left

    def hear_data(self, number):
        """What so many messages of others carry, in the order in which they come."""
        return [self.hear()["data"] for _ in range(number)]

    def hear_error(self, code):
        message = self.hear("error")
        assert message["code"] == code, message
        assert message["error"], "an error says in a sentence what is wrong"
        return message

    def hear_all_to_the_close(self):
        """Every message up to the close, which `hear_close` then names."""
        heard = []
        with contextlib.suppress(ConnectionClosed):
            while True:
                heard.append(json.loads(self.socket.recv(timeout=3 * SECONDS)))
        return heard

    def hear_close(self):
        """Reads to the end and returns the close code; a node that drains takes its time."""
        try:
            while True:
                self.socket.recv(timeout=3 * SECONDS)
        except ConnectionClosed as closed:
            return closed.rcvd and closed.rcvd.code

    def is_served(self):
        """True when the connection is alive and nothing else was waiting on it."""
        self.send("ping")
        return self.hear() == {"type": "pong"}

    def close(self):
        self.stay.close()


def heard_nothing_else(publisher, *listeners):
    """True when the very next thing that each listener hears is what the publisher says now.

    One node gives all its clients one order, so whatever was meant for them came before.
    """
    marker = str(uuid.uuid4())
    publisher.send("broadcast", data=marker)
    return all(listener.hear().get("data") == marker for listener in listeners)
