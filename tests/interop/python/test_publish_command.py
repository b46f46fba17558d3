"""`wshub publish`: what is typed or piped in is published once, or its line is named."""

import json
import threading

import pytest
from node import until

OVER = pytest.mark.parametrize(
    "over", [[], ["--user-id", "porter"]], ids=["over HTTP", "over a socket"]
)


@pytest.fixture
def publish(typed):
    """Types `wshub publish`."""
    return lambda node, *arguments: typed("publish", "--url", node.url, *arguments)


@pytest.fixture
def pipeline(start, typed, publish):
    """A node, a reader of what everybody is told, and a command whose lines are published so."""

    def open_pipeline(over):
        node = start()
        reader = typed("tail", node.url, "--raw")
        reader.noted.until("connected to")
        return node, reader, publish(node, *over, "--broadcast")

    return open_pipeline


def heard_at_the_end(reader, node):
    """What all messages carry that were printed, once a last one has come."""
    node.publish({"type": "broadcast", "data": "end"})
    reader.printed.until('"data":"end"')
    return [json.loads(line)["data"] for line in reader.printed.all[:-1]]


def ends(command, code=0):
    """Waits for its end; what it said on stderr."""
    noted = command.noted.rest()
    assert command.wait() == code, noted
    return noted


@OVER
def test_one_message_by_arguments(node, publish, person, fresh, over):
    ann, room = person("ann"), fresh("room")
    ann.send("join", room_id=room)
    ann.hear("joined")
    for arguments, kind, data in [
        (["--room", room, '{"a" : [1e999]}'], "room", '"data":{"a" : [1e999]}}'),
        (["--user", ann.user, "--user", fresh("bob"), "null"], "user", '"data":null}'),
        (["--broadcast", "--text", 'say "hi"'], "broadcast", '"data":"say \\"hi\\""}'),
    ]:
        command = publish(node, *over, *arguments)
        assert ends(command) == []
        text = ann.hear_text()
        heard = json.loads(text)
        assert (heard["type"], heard["from"]) == (kind, "porter" if over else "")
        assert text.endswith(data)
        (receipt,) = map(json.loads, command.printed.rest())
        assert (receipt["id"], receipt["cursor"]) == (heard["id"], heard["cursor"])


def test_data_that_is_no_json_is_refused_with_the_server_s_sentence(node, publish):
    command = publish(node, "--broadcast", "hello")
    (line,) = ends(command, 1)
    assert "this is not JSON" in line
    assert "line" not in line.split(": ")[1], "an argument has no line"


def test_nobody_to_publish_to_is_a_matter_of_usage(node, publish):
    (line,) = ends(publish(node, "1"), 2)
    assert "--room, --user or --broadcast" in line


@OVER
def test_lines_that_are_broken_are_named_and_the_rest_goes_on(node, publish, person, over):
    ann = person("ann")
    lines = [
        '{"type":"broadcast","data":1}',
        "",
        '{"type":"broadcast","data":',
        '{"type":"broadcast"}',
        '{"type":"shout","data":1}',
        '{"type":"broadcast","data":2,"id":"a:b"}',
        "\x00\xff",
        '[{"type":"broadcast","data":1}]',
        '{"type":"broadcast","data":3}',
    ]
    command = publish(node, *over)
    command.type("\n".join(lines))
    command.end_of_input()
    noted = ends(command, 1)
    named = [line.split(": ")[1] for line in noted[:-1]]
    assert named == [f"line {number}" for number in (3, 4, 5, 6, 7, 8)]
    assert "data is missing: send any JSON value" in noted[1]
    assert noted[-1].endswith("; 6 failed")
    assert ann.hear_data(2) == [1, 3]
    assert ann.is_served()


@OVER
def test_a_line_that_only_the_server_can_refuse_is_found_among_a_thousand(
    start, join_hub, publish, over
):
    node = start("limits.message_bytes=1KiB")
    ann = join_hub(node, "ann")
    command = publish(node, *over, "--broadcast", "--text")
    for number in range(1000):
        command.type(f"{number}{'x' * 2000 if number in (17, 700) else ''}\n")
    command.end_of_input()
    noted = [line for line in ends(command, 1) if ": line " in line]
    assert [line.split(": ")[1] for line in noted] == ["line 18", "line 701"]
    heard = ann.hear_data(998)
    assert heard == [str(number) for number in range(1000) if number not in (17, 700)]


def test_lines_are_the_data_where_it_is_said_for_whom(node, publish, person):
    ann = person("ann")
    command = publish(node, "--broadcast")
    command.type('1\n"two"\n1},{"type":"broadcast","data":"smuggled"\n{"three":3}\n')
    command.end_of_input()
    (named, _) = ends(command, 1)
    assert "line 3: this is not JSON" in named
    assert ann.hear_data(3) == [1, "two", {"three": 3}]


def test_a_line_goes_out_before_the_next_one_is_typed(node, publish, person):
    ann = person("ann")
    command = publish(node, "--broadcast")
    for number in range(3):
        command.type(f"{number}\n")
        assert ann.hear("broadcast")["data"] == number
    command.end_of_input()
    assert ends(command) == []


@OVER
def test_a_refusal_is_told_before_the_next_line_is_typed(node, publish, fresh, over):
    command = publish(node, *over)
    for data in (1, 2):
        command.type(json.dumps({"type": "broadcast", "id": fresh("id"), "data": data}) + "\n")
    command.noted.until("line 2: ")
    command.end_of_input()
    ends(command, 1)


def test_progress_is_told_where_it_is_asked_for(node, publish):
    command = publish(node, "--broadcast", "--progress")
    command.type("1\n" * 5000)
    command.end_of_input()
    assert "5000 published in" in ends(command)[-1]


def test_a_hundred_thousand_lines_come_in_order_and_take_no_memory(start, join_hub, publish):
    # Ann reads more slowly than lines are published: all of them may wait for her.
    node = start("limits.queue_messages=100000", "limits.queue_bytes=64MiB")
    ann = join_hub(node, "ann")
    command = publish(node, "--broadcast")
    peaks = []

    def feed():
        for number in range(100_000):
            command.type(f"{number}\n")
            if number % 20_000 == 19_999:
                peaks.append(resident_bytes(command.process.pid))
        command.end_of_input()

    feeding = threading.Thread(target=feed)
    feeding.start()
    assert ann.hear_data(100_000) == list(range(100_000))
    feeding.join()
    assert ends(command) == []
    assert peaks[-1] - peaks[1] < 8 << 20, peaks


def resident_bytes(pid):
    with open(f"/proc/{pid}/status") as status:
        (line,) = (line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


@OVER
def test_through_a_killed_node_each_line_comes_once(start, pipeline, over):
    node, reader, command = pipeline(over)
    command.type("".join(f"{number}\n" for number in range(300)))
    assert reader.printed.data(300) == list(range(300))
    node.kill()
    reader.noted.until("trying again in")
    command.type("".join(f"{number}\n" for number in range(300, 600)))
    command.noted.until("trying again in")
    node = start(port=node.port)
    # Which of the two comes back first is a matter of chance.
    reader.noted.until("connected again")
    command.end_of_input()
    ends(command)
    heard = heard_at_the_end(reader, node)
    assert heard[:300] == list(range(300))
    later = heard[300:]
    assert later == sorted(set(later)), "in order, none twice"
    missed = set(range(300, 600)) - set(later)
    told = any("may be missing" in line for line in reader.noted.all)
    assert told, "the new life's log doesn't know the old place"
    assert not missed or max(missed) < min(later, default=600), (
        "only what came before the reader is missed"
    )
    assert until(lambda: node.get("/stats").json["messages_in"]["broadcast"] == 301)


@OVER
def test_a_node_killed_in_the_midst_of_lines_makes_none_come_twice(start, pipeline, over):
    node, reader, command = pipeline(over)
    first, rest = (
        "".join(f"{number}\n" for number in numbers)
        for numbers in (range(20_000), range(20_000, 30_000))
    )
    feeding = threading.Thread(target=lambda: command.type(first))
    feeding.start()
    reader.printed.data(500)
    node.kill()
    node = start(port=node.port)
    reader.noted.until("connected again")
    feeding.join()
    command.type(rest)
    command.end_of_input()
    ends(command)
    heard = heard_at_the_end(reader, node)
    assert heard == sorted(set(heard)), "in order, none twice"
    assert heard[-1] == 29_999
    missed = set(range(30_000)) - set(heard)
    assert not missed or any("may be missing" in line for line in reader.noted.all)


def test_a_hub_that_isn_t_there_ends_it_at_the_first_line(node, typed):
    command = typed("publish", "--broadcast", "--url", node.url + "/below")
    command.type("1\n2\n")
    command.end_of_input()
    noted = ends(command, 1)
    assert any("there is nothing at this path" in line for line in noted), noted
