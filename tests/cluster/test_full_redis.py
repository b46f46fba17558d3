"""A Redis that has reached its maxmemory: it refuses publishes, and nothing else."""

import pytest
from faults import ask_redis
from node import SECONDS, until


@pytest.fixture
def full(start_cluster):
    """Two nodes, a message that waits for Zoe, and then no memory."""
    cluster = start_cluster(nodes=2)
    waits = {"type": "user", "target_ids": ["zoe"], "data": "waits"}
    assert cluster.hubs[0].publish(waits).status == 200
    ask_redis(cluster.redis, "CONFIG", "SET", "maxmemory", "1")
    return cluster


def reason(hub):
    return hub.get("/health").json.get("reason", "")


def test_a_full_redis_is_said_to_be_full_and_not_away(full):
    hub = full.hubs[0]
    assert until(lambda: "maxmemory" in reason(hub))
    looks = [reason(hub) for _ in range(2_000)]
    assert set(looks) == {reason(hub)}, "it goes on saying so"
    assert not reason(hub).startswith("the log is away")
    assert "Redis is away" not in hub.part.said()


def test_what_waits_is_given_and_taken_out_by_a_full_redis(full, join_hub):
    assert until(lambda: all("maxmemory" in reason(hub) for hub in full.hubs))
    refused = full.hubs[1].publish({"type": "broadcast", "data": 1})
    assert (refused.status, refused.code) == (503, "unavailable")
    zoe = join_hub(full.hubs[1], "zoe")
    assert "degraded" not in zoe.connected
    assert zoe.connected["pending"] == 1
    assert zoe.hear("user")["data"] == "waits"
    assert zoe.is_served()
    left = ("EXISTS", "websocket:queue:zoe")
    assert until(lambda: ask_redis(full.redis, *left) == "0", 2 * SECONDS), "receipts are taken"
    known = full.hubs[0].get("/users/zoe").json
    assert (len(known["connections"]), known.get("missing")) == (1, None)


def test_a_node_joins_a_cluster_whose_redis_is_full(full):
    full.nodes[1].kill()
    full.nodes[1].start()
    assert until(lambda: "maxmemory" in reason(full.hubs[1]))
