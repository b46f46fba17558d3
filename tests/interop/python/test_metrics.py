"""What an operator's Prometheus sees: names, types and labels that hold, numbers that count."""

import re

LINE = re.compile(r'^([a-z_]+)(?:\{([a-z_]+)="([a-z_]+)"\})? ([0-9.]+)$')


def scrape(node):
    answer = node.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    types, values = {}, {}
    for line in answer.body.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, "each family stands once"
            types[name] = kind
        elif not line.startswith("# HELP "):
            name, _, word, value = LINE.match(line).groups()
            assert (types[name] == "counter") == name.endswith("_total"), line
            values[name, word] = float(value)
    return values


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
    while node.clients():
        pass
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
