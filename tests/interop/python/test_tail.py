"""`wshub tail`: what is said comes out once, whatever becomes of connection, node and reader."""

import fcntl
import json
import re
import socket
import sys
import termios
import threading

import pytest
from node import SECONDS, until


@pytest.fixture
def tail(typed):
    """Types `wshub tail` and waits until it is connected."""

    def run(node, *arguments, port=None):
        tail = typed("tail", f"127.0.0.1:{port or node.port}", *arguments)
        tail.noted.until("connected")
        for _ in range(arguments.count("--room")):
            tail.noted.until("in room")
        return tail

    return run


def broadcasts(all_data):
    return [{"type": "broadcast", "data": data} for data in all_data]


def test_people_read_when_where_who_and_what(node, tail, person, fresh):
    ann, bob, room = fresh("ann"), person("bob"), fresh("room")
    reader = tail(node, "--user", ann, "--room", room, "--count", "3")
    bob.send("user", target_ids=[ann], data="hello\nthere \x1b[2J", id="m-1")
    bob.hear("ack")
    node.publish(
        [
            {"type": "room", "room_id": room, "data": {"a": [1]}},
            {"type": "broadcast", "data": "all"},
        ]
    )
    assert reader.wait() == 0
    lines = reader.printed.rest()
    times = [re.fullmatch(r"\d\d:\d\d:\d\d", line.split(" ", 1)[0]) for line in lines]
    assert all(times), lines
    assert [line.split(" ", 1)[1] for line in lines] == [
        f"@{ann} {bob.user}: hello\\nthere \\u{{1b}}[2J",
        f'#{room} -: {{"a": [1]}}',
        "* -: all",
    ]


def test_raw_is_the_message_as_it_came_on_one_line(node, tail, person, fresh):
    reader, ann = tail(node, "--user", fresh("reader"), "--raw", "--count", "1"), person("ann")
    node.publish('{"type":"broadcast","data":{"a" :\n[1e999,\t"\\ud800"]}}')
    heard = ann.hear_text()
    assert reader.wait() == 0
    assert reader.printed.rest() == [heard.replace("\n", " ")]


def test_the_last_messages_of_a_room_come_first(node, tail, join_hub, fresh):
    room = fresh("room")
    join_hub(node, fresh("ann"), asks={"rooms": room})
    node.publish([{"type": "room", "room_id": room, "data": number} for number in range(5)])
    reader = tail(node, "--room", room, "--history", "3", "--raw", "--count", "4")
    assert reader.printed.data(3) == [2, 3, 4]
    node.publish({"type": "room", "room_id": room, "data": "live"})
    assert reader.printed.data(1) == ["live"]


def test_what_is_printed_is_received_and_what_is_peeked_at_is_not(node, tail, join_hub, fresh):
    ann = fresh("ann")
    node.publish([{"type": "user", "target_ids": [ann], "data": number} for number in range(3)])
    peek = tail(node, "--user", ann, "--raw", "--peek", "--count", "3")
    assert (peek.printed.data(3), peek.wait()) == ([0, 1, 2], 0)
    reader = tail(node, "--user", ann, "--raw", "--count", "2")
    assert (reader.printed.data(2), reader.wait()) == ([0, 1], 0)
    assert reader.printed.rest()[2:] == []
    assert join_hub(node, ann).connected["pending"] == 1


def test_ctrl_c_ends_with_0_and_names_the_place(node, tail, person, fresh):
    ann = person("ann")
    reader = tail(node, "--user", fresh("reader"), "--raw")
    node.publish(broadcasts([1]))
    assert reader.printed.data(1) == [1]
    reader.interrupt()
    assert reader.wait() == 0
    place = re.search(r"--after (\S+) goes on", reader.noted.until("goes on"))[1]
    ann.hear()
    assert place == ann.cursor


def test_ctrl_c_ends_one_whose_reader_takes_nothing(node, typed, fresh):
    reader = typed("tail", node.url, "--user", fresh("reader"), "--raw", reads=False)
    reader.noted.until("connected to")
    node.publish(broadcasts(["x" * 8000] * 20))
    assert until(lambda: bytes_waiting(reader.process.stdout) >= 48 << 10)
    reader.interrupt()
    assert reader.wait() == 0


def bytes_waiting(pipe):
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4), sys.byteorder)


def test_a_later_tail_goes_on_from_the_place(node, tail, fresh):
    first = tail(node, "--raw", "--count", "1")
    node.publish(broadcasts([fresh("heard")]))
    assert first.wait() == 0
    place = re.search(r"--after (\S+) goes on", first.noted.until("goes on"))[1]
    missed = [fresh("missed"), fresh("missed too")]
    node.publish(broadcasts(missed))
    second = tail(node, "--raw", "--count", "2", "--after", place)
    assert (second.printed.data(2), second.wait()) == (missed, 0)


def test_a_reader_that_has_seen_enough_ends_it_quietly(node, typed):
    reader = typed("tail", node.url, "--raw", reads=False)
    reader.noted.until("connected to")
    reader.process.stdout.close()
    assert until(
        lambda: node.publish(broadcasts(["x" * 1000])) and reader.process.poll() is not None
    )
    assert reader.process.returncode == 0
    assert "stdout" not in "\n".join(reader.noted.rest())


def test_what_is_no_place_is_refused_before_anything_is_dialed(node, typed):
    refused = typed("tail", node.url, "--after", "yesterday")
    assert refused.wait() == 2
    assert "--after" in refused.noted.next()


def test_a_hub_that_isn_t_there_yet_is_waited_for(start, typed):
    before = start()
    before.kill()
    reader = typed("tail", before.url, "--raw", "--count", "1")
    assert "can't be reached" in reader.noted.until("trying again in")
    node = start(port=before.port)
    reader.noted.until("connected to")
    node.publish(broadcasts([1]))
    assert (reader.printed.data(1), reader.wait()) == ([1], 0)


class Cable:
    """Passes bytes between clients and a node, until it is pulled."""

    def __init__(self, node):
        self.node, self.pairs = node, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.node.address, timeout=SECONDS)
            server.settimeout(None)
            self.pairs.append((client, server))
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    @staticmethod
    def _carry(source, sink):
        try:
            while piece := source.recv(65536):
                sink.sendall(piece)
        except OSError:
            pass

    def pull(self):
        for pair in self.pairs:
            for end in pair:
                end.shutdown(socket.SHUT_RDWR) if end.fileno() >= 0 else None
                end.close()
        self.pairs.clear()

    def close(self):
        self.listener.close()


def test_through_pulled_cables_nothing_is_lost_and_nothing_doubled(start, tail, fresh):
    node = start()
    cable = Cable(node)
    ann, rooms = fresh("ann"), [fresh("room"), fresh("room, with a comma")]
    flags = [part for room in rooms for part in ("--room", room)]
    reader = tail(node, "--user", ann, "--raw", *flags, port=cable.port)
    sent, heard = [], []
    for turn in range(5):
        numbers = range(turn * 400, (turn + 1) * 400)
        kinds = [
            {"type": "broadcast"},
            {"type": "room", "room_id": rooms[0]},
            {"type": "room", "room_id": rooms[1]},
            {"type": "user", "target_ids": [ann]},
        ]
        # No more to the user than a queue keeps.
        chosen = [
            kinds[number % (4 if number % 400 < 200 else 3)] | {"data": number}
            for number in numbers
        ]
        assert node.publish(chosen[:200]).status == 200
        cable.pull()
        assert node.publish(chosen[200:]).status == 200
        sent += numbers
        reader.noted.until("what was missed follows")
        heard += reader.printed.data(400)
    cable.close()
    assert sorted(heard) == sent
    assert len(set(heard)) == len(heard)


def test_a_killed_node_s_loss_is_told_and_all_that_its_lives_cover_comes_once(start, tail):
    node = start()
    reader = tail(node, "--raw")
    node.publish(broadcasts(range(500)))
    assert reader.printed.data(500) == list(range(500))
    node.kill()
    reader.noted.until("trying again in")
    node = start(port=node.port)
    assert "may be missing" in reader.noted.until("connected again")
    node.publish(broadcasts(range(500, 1000)))
    assert reader.printed.data(500) == list(range(500, 1000))
    reader.interrupt()
    assert reader.wait() == 0
    assert [json.loads(line)["data"] for line in reader.printed.rest()] == list(range(1000))


def test_a_node_that_drains_is_left_when_it_says_so(start, tail):
    node = start("drain.timeout=5s")
    reader = tail(node, "--raw")
    node.tell_to_end()
    reader.noted.until("the node drains")
    assert node.wait() == 0
    assert any("moved, 0 lost" in line for line in node.said), node.said
