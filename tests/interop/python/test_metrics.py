"""What an operator's Prometheus sees: names, types and labels that hold, numbers that count."""

import re

from node import until

NAME = re.compile(r"wshub(_[a-z]+)+")
LINE = re.compile(r'([a-z_]+)(?:\{([a-z_]+)="([a-z_]+)"\})? (\d+(?:\.\d+)?)')
# Prometheus counts in seconds, bytes and parts of one.
NO_BASE_UNIT = {"ms", "milliseconds", "microseconds", "minutes", "kib", "mib", "kilobytes"}
NO_BASE_UNIT |= {"percent", "count", "sum", "bucket", "info", "counter", "gauge"}


def scrape(node):
    """All samples by name and label, of a page that keeps to the format and its conventions."""
    answer = node.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    page = answer.body.decode()
    assert page.endswith("\n")
    values, families = {}, set()
    lines = iter(page.splitlines())
    for line in lines:
        if line.startswith("# HELP "):
            _, _, family, sentence = line.split(" ", 3)
            assert re.fullmatch(r"[^\\]+\.", sentence), line
            kind = next(lines).removeprefix(f"# TYPE {family} ")
            check_name(family, kind)
            assert family not in families, "each family stands once"
            families.add(family)
            label = None
            continue
        name, key, word, value = LINE.fullmatch(line).groups()
        assert name == family, "samples stand below their family's name"
        assert key != "le"
        assert label in (None, key), "all samples of a family have the same label"
        assert (name, word) not in values, line
        label, values[name, word] = key, float(value)
    assert {name for name, _ in values} == families, "no family is empty"
    return values


def check_name(family, kind):
    assert NAME.fullmatch(family)
    assert kind in {"counter", "gauge"}, (family, kind)
    assert (kind == "counter") == family.endswith("_total"), family
    assert NO_BASE_UNIT.isdisjoint(family.split("_")), family


def test_connections_and_messages_are_counted_by_type(start, join_hub):
    node = start("shards=2")
    ann, bob = join_hub(node, "ann"), join_hub(node, "bob")
    ann.send("broadcast", data=1)
    ann.hear("broadcast"), bob.hear("broadcast")
    ann.send("user", target_ids=["bob"], data=2)
    bob.hear("user")
    seen = scrape(node)
    assert seen["wshub_connections", None] == seen["wshub_users", None] == 2
    assert seen["wshub_messages_in_total", "broadcast"] == 1
    assert seen["wshub_messages_out_total", "broadcast"] == 2
    assert seen["wshub_messages_out_total", "user"] == 1
    assert seen["wshub_messages_in_total", "room"] == 0
    assert seen["wshub_log_entries", None] == 2


def test_disconnects_are_counted_by_reason(start, join_hub, dial):
    node = start()
    ann, wire = join_hub(node, "ann"), dial(node)
    wire.open("bob")
    wire.send(b"\xff\x80\0\0\0\0")
    assert wire.read_close() == 1002
    ann.close()
    assert until(lambda: node.clients() == 0)
    seen = scrape(node)
    assert seen["wshub_disconnects_total", "protocol_error"] == 1
    assert seen["wshub_disconnects_total", "client"] == 1
    assert seen["wshub_dropped_total", "unwritten"] == 0


def test_repeats_are_counted(node):
    before = scrape(node)
    for _ in range(3):
        node.publish({"type": "broadcast", "data": 1, "id": "counted"})
    after = scrape(node)
    assert after["wshub_duplicates_total", None] - before["wshub_duplicates_total", None] == 2
    assert after["wshub_dedupe_ids", None] > before["wshub_dedupe_ids", None]


def test_no_name_that_a_client_chose_is_among_the_metrics(start, join_hub):
    node = start()
    before = scrape(node)
    for number in range(50):
        name = f'x"}} 1\\{number}'
        ann = join_hub(node, name)
        ann.send("join", room_id=name)
        ann.send("room", room_id=name, data=1, id=f"id-{number}")
        ann.send(name)
        node.publish({"type": "user", "target_ids": [name + "?"], "data": 1})
        ann.close()
    node.get("/" + "x" * 100)
    after = scrape(node)
    assert after.keys() == before.keys()
    assert after["wshub_connections_opened_total", None] == 50


def test_what_the_log_holds_is_told_in_seconds_and_bytes(start):
    node = start("log.retention=3s")
    node.publish([{"type": "broadcast", "data": "x" * 1000}] * 10)
    seen = scrape(node)
    assert seen["wshub_log_entries", None] == 10
    assert seen["wshub_log_bytes", None] > 10_000
    assert until(lambda: scrape(node)["wshub_log_window_seconds", None] > 0)
    assert until(lambda: scrape(node)["wshub_log_entries", None] == 0)
    assert scrape(node)["wshub_log_window_seconds", None] == 0
