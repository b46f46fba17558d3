"""Publishing and asking by HTTP: answers, errors and their codes."""

import http.client
import json

import pytest
from node import SECONDS, until
from people import heard_nothing_else

KIB = 1024
BROADCAST = {"type": "broadcast", "data": "x"}
# The contract leaves it open which of the two a message that is no message gets.
BAD_REQUEST = {400, 422}


def test_health_says_how_many_clients_and_shards_there_are(start, join_hub):
    node = start("shards=2")
    join_hub(node, "ann")
    answer = node.get("/health")
    assert answer.status == 200
    assert answer.json["status"] == "healthy"
    assert (answer.json["clients"], answer.json["shards"]) == (1, 2)
    assert isinstance(answer.json["timestamp"], int)


@pytest.mark.parametrize("path", ["/live", "/ready"])
def test_orchestrators_are_told_that_the_node_is_well(node, path):
    assert node.get(path).status == 200


def test_stats_count_the_clients_of_each_shard(start, join_hub):
    node = start("shards=3")
    people = [join_hub(node, f"user-{number}") for number in range(30)]
    assert until(lambda: node.get("/stats").json["total_clients"] == len(people), seconds=2)
    stats = node.get("/stats").json
    assert set(stats["shard_stats"]) == {"0", "1", "2"}
    assert sum(stats["shard_stats"].values()) == len(people)
    assert all(stats["shard_stats"].values()), "30 users don't all crowd on two shards"
    assert isinstance(stats["timestamp"], int)


def test_all_connections_of_a_user_are_on_one_shard(start, join_hub):
    node = start("shards=4")
    people = [join_hub(node, "ann") for _ in range(8)]
    assert until(lambda: node.get("/stats").json["total_clients"] == len(people), seconds=2)
    assert sorted(node.get("/stats").json["shard_stats"].values()) == [0, 0, 0, 8]


def test_a_published_message_is_heard_and_comes_from_nobody(node, person):
    ann = person("ann")
    answer = node.publish({"type": "user", "target_ids": [ann.user], "data": {"n": 1}})
    assert answer.status == 200
    heard = ann.hear("user")
    assert heard["from"] == ""
    assert heard["data"] == {"n": 1}
    assert (answer.json["id"], answer.json["cursor"]) == (heard["id"], heard["cursor"])
    assert answer.json["duplicate"] is False


def test_a_message_to_a_room_is_published(node, person):
    ann = person("ann")
    ann.send("join", room_id="news by http")
    ann.hear("joined")
    assert node.publish({"type": "room", "room_id": "news by http", "data": 1}).status == 200
    assert ann.hear("room")["room_id"] == "news by http"


def test_an_array_is_answered_item_by_item_in_order(node, person):
    ann = person("ann")
    items = [BROADCAST | {"data": number, "id": f"item-{number}"} for number in range(100)]
    answer = node.publish(items)
    assert answer.status == 200
    assert [result["id"] for result in answer.json] == [item["id"] for item in items]
    assert [ann.hear("broadcast")["data"] for _ in items] == list(range(100))


def test_a_thousand_items_are_taken_and_heard_in_order(node, person):
    ann = person("ann")
    assert len(node.publish([BROADCAST | {"data": number} for number in range(1000)]).json) == 1000
    assert [ann.hear("broadcast")["data"] for _ in range(1000)] == list(range(1000))


def test_an_empty_array_is_answered_with_an_empty_array(node):
    answer = node.publish([])
    assert (answer.status, answer.json) == (200, [])


def test_more_than_a_thousand_items_are_too_many(node):
    answer = node.publish([BROADCAST] * 1001)
    assert (answer.status, answer.code) == (413, "too_large")


@pytest.mark.parametrize(
    "bad", [{"type": "broadcast"}, {"type": "shout", "data": 1}, 5, None, [BROADCAST]]
)
def test_one_malformed_item_refuses_the_whole_array(node, person, bad):
    ann = person("ann")
    answer = node.publish([BROADCAST, bad, BROADCAST])
    assert answer.status in BAD_REQUEST
    assert answer.code in {"invalid_message", "unknown_type"}
    assert heard_nothing_else(ann, ann)


def test_a_repeat_with_the_same_id_has_no_second_effect(node, person):
    ann = person("ann")
    message = BROADCAST | {"id": "published-twice"}
    first, second = node.publish(message).json, node.publish(message).json
    assert (first["duplicate"], second["duplicate"]) == (False, True)
    assert first["cursor"] == second["cursor"]
    assert ann.hear("broadcast")["id"] == "published-twice"
    assert heard_nothing_else(ann, ann)


def test_the_same_id_with_other_content_is_a_conflict(node):
    assert node.publish(BROADCAST | {"id": "conflict", "data": 1}).status == 200
    answer = node.publish(BROADCAST | {"id": "conflict", "data": 2})
    assert (answer.status, answer.code) == (409, "id_reused")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "invalid_json"),
        ("{", "invalid_json"),
        ("hello", "invalid_json"),
        ('{"type":"broadcast","data":1} x', "invalid_json"),
        ("null", "invalid_message"),
        ("5", "invalid_message"),
        ('{"type":"broadcast"}', "invalid_message"),
        ('{"type":"broadcast","data":1,"data":2}', "invalid_message"),
        ('{"type":"user","target_ids":[],"data":1}', "invalid_message"),
        ('{"type":"room","data":1}', "invalid_message"),
        ('{"type":"shout","data":1}', "unknown_type"),
    ],
)
def test_a_bad_message_is_refused_with_its_code(node, body, code):
    answer = node.publish(body)
    assert answer.status in BAD_REQUEST
    assert answer.code == code


@pytest.mark.parametrize("type_", ["ping", "join", "leave"])
def test_only_messages_can_be_published(node, type_):
    answer = node.publish({"type": type_, "room_id": "r"})
    assert answer.status in BAD_REQUEST
    assert answer.code in {"unknown_type", "invalid_message"}


def test_nesting_without_end_is_refused(node):
    answer = node.publish('{"type":"broadcast","data":' + "[" * 100_000 + "]" * 100_000 + "}")
    assert 400 <= answer.status < 500
    assert answer.code == "too_deep"


def test_a_message_over_512_kib_is_too_large(node):
    answer = node.publish(BROADCAST | {"data": "x" * 513 * KIB})
    assert (answer.status, answer.code) == (413, "too_large")


def test_a_message_times_its_targets_over_4_mib_is_too_large(node):
    targets = [f"u{number}" for number in range(100)]
    answer = node.publish({"type": "user", "target_ids": targets, "data": "x" * 100 * KIB})
    assert (answer.status, answer.code) == (413, "too_large")


def test_a_body_over_4_mib_is_too_large_and_the_answer_can_be_read(node):
    answer = node.publish([BROADCAST | {"data": "x" * 400 * KIB}] * 15)
    assert (answer.status, answer.code) == (413, "too_large")


def test_a_body_just_under_4_mib_is_taken(node, person):
    ann = person("ann")
    assert node.publish([BROADCAST | {"data": "x" * 400 * KIB}] * 10).status == 200
    assert [len(ann.hear("broadcast")["data"]) for _ in range(10)] == [400 * KIB] * 10


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/publish", "POST"),
        ("DELETE", "/publish", "POST"),
        ("POST", "/health", "GET"),
        ("PUT", "/stats", "GET"),
        ("POST", "/ws", "GET"),
    ],
)
def test_the_wrong_method_is_told_the_right_one(node, method, path, allowed):
    answer = node.request(method, path)
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert allowed in answer.headers["Allow"].replace(" ", "").split(",")


@pytest.mark.parametrize("path", ["/nowhere", "/publish/more", "/..%2f..%2fetc/passwd"])
def test_an_unknown_path_is_not_found(node, path):
    answer = node.get(path)
    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "text/json+x"])
def test_a_body_that_says_it_is_not_json_is_refused(node, kind):
    answer = node.request("POST", "/publish", json.dumps(BROADCAST), {"Content-Type": kind})
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


def test_a_charset_beside_the_media_type_is_fine(node):
    kind = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert node.request("POST", "/publish", json.dumps(BROADCAST), kind).status == 200


def test_one_connection_serves_many_requests(node):
    connection = http.client.HTTPConnection(*node.address, timeout=SECONDS)
    ports = set()
    for path in ["/health", "/live", "/stats", "/ready"]:
        connection.request("GET", path)
        connection.getresponse().read()
        ports.add(connection.sock.getsockname()[1])
    connection.close()
    assert len(ports) == 1, "kept alive"


def test_answers_are_json_and_say_so(node):
    for path in ["/health", "/stats", "/nowhere"]:
        assert node.get(path).headers["Content-Type"].startswith("application/json")


def test_the_first_page_comes_with_a_strict_policy(node):
    answer = node.get("/")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src" in policy
    assert "unsafe" not in policy


def test_the_browser_client_is_there_for_anybody_to_import(node):
    answer = node.get("/wshub.js")
    assert answer.status == 200
    assert "javascript" in answer.headers["Content-Type"]
    assert answer.body
