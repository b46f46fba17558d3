"""Settings that are refused, and how a node ends."""

import signal

import pytest
from node import command

BOTH = pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])


@BOTH
def test_asked_to_end_a_node_ends_with_0(start, how):
    assert start().end(how) == 0


@BOTH
def test_a_client_is_told_that_the_node_ends(start, join_hub, how):
    node = start("drain.timeout=3s")
    ann = join_hub(node, "ann")
    node.tell_to_end(how)
    assert ann.hear_close() == 1012
    assert node.wait() == 0


def test_a_client_that_never_reads_does_not_keep_a_node_from_ending(start, dial):
    node = start()
    dial(node, receive_buffer=4096).open("sloth")
    node.publish([{"type": "broadcast", "data": "x" * 100_000}] * 40)
    assert node.end(seconds=40) == 0


def test_a_stalled_handshake_does_not_keep_a_node_from_ending(start, dial):
    node = start()
    dial(node).send(b"GET /ws HTTP/1.1\r\n")
    assert node.end(seconds=40) == 0


def test_a_port_is_free_again_when_the_node_has_ended(start):
    node = start()
    node.end()
    with pytest.raises(ConnectionRefusedError):
        node.get("/health")


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("limits.mesage_bytes=1", "message_bytes"),
        ("heartbeet.interval=1s", "heartbeat"),
        ("shard=2", "shards"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_nearest_known_name(setting, named):
    ended = command("serve", "--listen", "127.0.0.1:0", "--set", setting)
    assert ended.returncode == 2
    assert setting.split("=")[0].split(".")[-1] in ended.stderr
    assert named in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr


@pytest.mark.parametrize(
    "setting", ["shards=many", "limits.message_bytes=-1", "heartbeat.interval=soon"]
)
def test_a_setting_of_the_wrong_kind_is_refused_by_its_name(setting):
    ended = command("serve", "--listen", "127.0.0.1:0", "--set", setting)
    assert ended.returncode == 2
    assert setting.split("=")[0].split(".")[-1] in ended.stderr


def test_trusting_an_open_network_must_be_asked_for():
    ended = command("serve", "--listen", "0.0.0.0:0")
    assert ended.returncode == 2
    assert "auth.trust_network" in ended.stderr


def test_check_prints_the_settings():
    ended = command("check", "--set", "limits.queue_messages=77")
    assert ended.returncode == 0, ended.stderr
    assert "77" in ended.stdout
