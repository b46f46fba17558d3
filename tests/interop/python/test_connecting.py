"""Who may connect, and what the first message says."""

import time
from urllib.parse import quote

import pytest
from node import until
from people import Person


def test_the_first_message_tells_a_client_where_it_is(person):
    ann = person("ann")
    first = ann.connected
    assert first["user_id"] == ann.user
    assert isinstance(first["session_id"], str)
    assert first["session_id"]
    assert isinstance(first["node"], str)
    assert isinstance(first["cursor"], str)
    assert first["cursor"]
    assert isinstance(first["timestamp"], int)
    assert abs(first["timestamp"] - time.time()) < 60
    assert (first["resumed"], first["pending"], first["missed"]) == (False, 0, 0)


def test_each_connection_of_a_user_has_a_session_of_its_own(person):
    sessions = {person("ann").connected["session_id"] for _ in range(5)}
    assert len(sessions) == 5


def test_a_session_id_that_a_client_made_up_is_not_kept(person):
    ann = person("ann", query="user_id=ann&session_id=made-up")
    assert ann.connected["session_id"] != "made-up"


@pytest.mark.parametrize(
    ("query", "user"),
    [
        ("user_id=ann+lee", "ann lee"),
        ("user_id=zo%C3%AB", "zoë"),
        ("user_id=a%2Bb%26c%3Dd", "a+b&c=d"),
        ("user_id=a:b/c{d}e", "a:b/c{d}e"),
        ("user_id=" + "u" * 128, "u" * 128),
        ("user_id=" + quote("ü" * 64), "ü" * 64),
        ("other=1&user_id=ann&more", "ann"),
    ],
)
def test_a_user_id_is_form_decoded(person, query, user):
    assert person(None, query=query).connected["user_id"] == user


@pytest.mark.parametrize(
    "query",
    [
        "",
        "user=ann",
        "user_id=",
        "user_id=" + "u" * 129,
        "user_id=" + quote("ü" * 65),
        "user_id=a%00b",
        "user_id=a%0Ab",
        "user_id=a%1Fb",
        "user_id=a%7Fb",
    ],
)
def test_without_a_proper_user_id_the_client_reads_why_and_is_closed_with_4001(node, query):
    nobody = Person(node, query=query)
    nobody.hear_error("user_id_required")
    assert nobody.hear_close() == 4001


@pytest.mark.parametrize(
    "offered", [["wshub.v1"], ["chat", "wshub.v1"], ["wshub.v1", "bearer.x.y.z"]]
)
def test_wshub_v1_is_selected_when_it_is_offered(person, offered):
    assert person("ann", subprotocols=offered).socket.subprotocol == "wshub.v1"


@pytest.mark.parametrize("offered", [None, ["chat"], ["wshub.v2"], ["WSHUB.V1"]])
def test_no_other_subprotocol_is_ever_selected(person, offered):
    assert person("ann", subprotocols=offered).socket.subprotocol is None


def test_a_closed_connection_is_soon_counted_no_more(start, join_hub):
    node = start()
    ann, bob = join_hub(node, "ann"), join_hub(node, "bob")
    assert node.clients() == 2
    ann.close()
    assert until(lambda: node.clients() == 1, seconds=2)
    assert bob.is_served()


def test_who_was_refused_is_not_counted_as_a_client(start):
    node = start()
    nobody = Person(node, query="")
    assert nobody.hear_close() == 4001
    assert node.clients() == 0
