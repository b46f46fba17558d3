"""A client that never gives up: it connects to any node, resumes, and records what it was given."""

import asyncio
import contextlib
import json
import random
import re
import time
from urllib.parse import urlencode

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

CURSOR = re.compile(r"(\d+)\.[0-9a-f]+:0:(\d+)-(\d+)")
# How long a connection may take to be made, and to be closed.
OPENING, CLOSING = 3.0, 1.5
# How long a client waits before it comes back, at most; each further time twice as long.
BACKOFF, LONGEST_BACKOFF = 0.5, 4.0
DRAINING = 1012


def place_of(cursor):
    """Where a cursor stands in the order: the life of the log, then the offset."""
    found = CURSOR.fullmatch(cursor)
    assert found, f"a strange cursor: {cursor}"
    return tuple(int(part) for part in found.groups())


class Span:
    """A piece of the log that the device was promised all of: behind `begin`, up to `end`."""

    def __init__(self, begin):
        self.begin, self.end = begin, begin

    def has(self, place):
        return self.begin < place <= self.end


class Device:
    def __init__(self, load, user, rooms, first_node):
        self.load, self.user, self.rooms = load, user, rooms
        self.at = first_node
        self.socket = None
        self.session = self.after = None
        # The pieces of the log that were promised, and from where on each room was.
        self.spans = []
        self.room_from = {}
        # What was given: by place, and by (sender, id).
        self.given = {}
        self.ids = {}
        self.expects_reset = False
        self.latest = 0.0
        self.comes_since = None
        self.faults = []
        self.counts = dict.fromkeys(
            ("connected", "resumed", "reset", "not_resumed", "again", "anew", "missed", "gap"), 0
        )
        self.told = []
        # Publishes that are to be answered: by id.
        self.unanswered = {}

    # Connections.

    async def live(self):
        failures = 0
        while not self.load.over.is_set():
            began = time.monotonic()
            how = await self.stay()
            if time.monotonic() - began > BACKOFF:
                failures = 0
            self.at = (self.at + 1) % len(self.load.addresses)
            if how == DRAINING and failures == 0:
                failures = 1
                continue
            longest = min(LONGEST_BACKOFF, BACKOFF * 2**failures)
            failures += 1
            await self.load.pause(random.uniform(0, longest))

    async def stay(self):
        """One connection from its begin to its end; the close code, if there was one."""
        asked = {"user_id": self.user, "rooms": ",".join(self.rooms)}
        if self.after:
            asked |= {"session_id": self.session, "after": self.after}
        host, port = self.load.addresses[self.at]
        address = f"ws://{host}:{port}/ws?{urlencode(asked)}"
        options = {"ping_interval": None, "compression": None, "proxy": None, "max_queue": None}
        options |= {"open_timeout": OPENING, "close_timeout": CLOSING}
        try:
            async with connect(address, **options) as socket:
                self.socket = socket
                return await self.hear_all(socket)
        except ConnectionClosed as closed:
            return closed.rcvd and closed.rcvd.code
        except (OSError, InvalidHandshake, InvalidMessage, TimeoutError, EOFError):
            return None
        finally:
            self.socket = None
            self.load.changed.set()

    async def hear_all(self, socket):
        asked = False
        while True:
            try:
                text = await asyncio.wait_for(socket.recv(), self.load.silence)
            except TimeoutError:
                if asked:
                    # Nobody says goodbye to a node that is silent.
                    socket.transport.abort()
                    return
                asked = True
                await socket.send('{"type":"ping"}')
                continue
            asked = False
            self.note(json.loads(text))

    async def say(self, message):
        """Sends it if there is a connection; what becomes of it is told by an answer, or never."""
        if self.socket is None:
            return False
        with contextlib.suppress(ConnectionClosed, OSError):
            await self.socket.send(json.dumps(message))
            return True
        return False

    # What is said to it.

    def note(self, message):
        what = getattr(self, f"note_{message['type']}", None)
        if what:
            what(message)
        else:
            self.fault(f"was said something strange: {message}")
        self.load.changed.set()

    def fault(self, text):
        self.faults.append(f"{self.user}: {text}")

    def note_connected(self, message):
        self.session = message["session_id"]
        self.counts["connected"] += 1
        self.counts["missed"] += message["missed"]
        self.expects_reset = message.get("degraded", False)
        self.comes_since = None if message["resumed"] else place_of(message["cursor"])
        if message["resumed"]:
            self.counts["resumed"] += 1
            if not self.after:
                self.fault("was told that it resumes and handed in no place")
            return
        if self.after and not self.expects_reset:
            self.counts["not_resumed"] += 1
            self.told.append(("resumed:false", message["cursor"]))
        self.begin_at(message["cursor"])

    def note_reset(self, message):
        if not self.expects_reset:
            self.counts["reset"] += 1
            self.told.append((message["reason"], message["cursor"]))
        self.expects_reset = False
        self.begin_at(message["cursor"])
        for room in self.room_from:
            self.room_from[room] = max(self.room_from[room], place_of(message["cursor"]))

    def begin_at(self, cursor):
        self.after = cursor
        self.spans.append(Span(place_of(cursor)))

    def note_position(self, message):
        self.move_to(message["cursor"], message)

    def note_gap(self, message):
        self.counts["gap"] += message["dropped"]
        self.begin_at(message["cursor"])

    def note_joined(self, message):
        # A connection that resumed has its rooms from where it was.
        if self.comes_since or message["room_id"] not in self.room_from:
            self.room_from[message["room_id"]] = place_of(message["cursor"])

    def note_pong(self, _):
        pass

    def note_reconnect(self, message):
        asyncio.get_running_loop().call_later(message["delay_ms"] / 1000, self.hang_up, self.socket)

    def hang_up(self, socket):
        """Leaves a node that drains at the moment that it named; just after, the node would."""
        if socket is self.socket and socket is not None:
            self.load.say_goodbye(socket)

    def note_broadcast(self, message):
        self.note_message(message)

    note_room = note_user = note_broadcast

    def note_message(self, message):
        cursor, known_as = message["cursor"], (message["from"], message["id"])
        place = place_of(cursor)
        data = message["data"]
        self.load.note_order(place, known_as, message, self)
        if place in self.given:
            self.counts["again"] += 1
            if message["type"] != "user":
                self.fault(f"was given {known_as} twice at {cursor}")
        elif known_as in self.ids:
            # In another life of the log that is what Redis lost; clients drop it by its id.
            self.counts["anew"] += 1
            if self.ids[known_as][0] == place[0]:
                self.fault(f"was given {known_as} at {self.ids[known_as]} and at {cursor}")
        self.given[place] = known_as
        self.ids.setdefault(known_as, place)
        self.latest = max(self.latest, data["at"])
        if self.expects_reset:
            self.fault(f"was given {cursor} before the reset that ends a degraded log")
        if message["type"] == "user" and (not self.spans or place <= self.spans[-1].end):
            return  # From the queue.
        self.move_to(cursor, message)

    def move_to(self, cursor, message):
        span, place = self.spans[-1], place_of(cursor)
        if place < span.end or (place == span.end and message["type"] != "position"):
            self.fault(f"stands at {span.end} and was given {message['type']} at {cursor}")
        elif message["type"] == "user" and place[0] > span.end[0]:
            return  # An epoch that nobody named yet.
        else:
            span.end, self.after = place, cursor

    # Answers to what it publishes.

    def note_ack(self, message):
        waiting = self.unanswered.pop(message["id"], None)
        if waiting and not waiting.done():
            waiting.set_result(message)

    def note_error(self, message):
        waiting = self.unanswered.pop(message.get("id"), None)
        if waiting and not waiting.done():
            waiting.set_result(message)
        elif message["code"] not in ("unavailable", "outcome_unknown"):
            self.fault(f"was told {message}")

    def is_promised(self, letter):
        """Whether it was promised to be given this message, which is in the log."""
        if letter.room and not self.room_from.get(letter.room, letter.place) < letter.place:
            return False
        return any(span.has(letter.place) for span in self.spans)
