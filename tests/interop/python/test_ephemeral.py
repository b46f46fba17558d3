"""Messages that leave no trace: whoever is there hears them, and nobody later."""

import pytest
from people import heard_nothing_else

TYPING = {"data": {"typing": True}, "ephemeral": True}


def test_an_ephemeral_message_is_heard_without_a_place(person, room):
    ann, bob = person("ann"), person("bob")
    bob.join(room)
    ann.send("room", room_id=room, **TYPING)
    ann.send("user", target_ids=[bob.user], **TYPING)
    ann.send("broadcast", **TYPING)
    heard = [bob.hear(type_) for type_ in ("room", "user", "broadcast")]
    for message in heard:
        assert "cursor" not in message
        assert message["from"] == ann.user
        assert message["id"]
        assert message["data"] == {"typing": True}
    assert ann.hear("broadcast")["id"] == heard[-1]["id"]


def test_an_ephemeral_message_with_an_id_is_acknowledged_without_a_place(person):
    ann, bob = person("ann"), person("bob")
    for _ in range(2):
        ann.send("user", target_ids=[bob.user], id="typing", **TYPING)
        assert ann.hear() == {"type": "ack", "id": "typing", "duplicate": False}
        assert bob.hear("user")["id"] == "typing", "a repeat is heard again"
    ann.send("user", target_ids=[bob.user], id="typing", data="kept")
    assert ann.hear("ack")["duplicate"] is False
    assert bob.hear("user")["data"] == "kept"


def test_who_is_away_hears_of_it_neither_by_queue_nor_by_resuming(person, come_back, room):
    ann, bob = person("ann"), person("bob")
    bob.join(room)
    bob.close()
    ann.send("user", target_ids=[bob.user], **TYPING)
    ann.send("room", room_id=room, **TYPING)
    ann.send("broadcast", **TYPING)
    ann.send("user", target_ids=[bob.user], data="kept", id=room)
    ann.hear("broadcast")
    assert ann.hear("ack")["id"] == room
    bob = come_back(bob, rooms=room)
    assert (bob.connected["resumed"], bob.connected["pending"]) == (True, 1)
    bob.hear("joined")
    assert bob.hear("user")["data"] == "kept"
    assert heard_nothing_else(ann, ann, bob)


def test_an_ephemeral_message_does_not_move_the_log(start, join_hub):
    ann = join_hub(start(), "ann")
    ann.send("broadcast", **TYPING)
    ann.hear("broadcast")
    assert ann.join("r")["cursor"] == ann.connected["cursor"]


@pytest.mark.parametrize("id_", [{}, {"id": "from-http"}])
def test_an_ephemeral_message_is_published_by_http_as_well(node, person, id_):
    ann = person("ann")
    for _ in range(2):
        answer = node.publish({"type": "user", "target_ids": [ann.user], **TYPING, **id_})
        assert answer.status == 200
        heard = ann.hear("user")
        assert answer.json == {"id": heard["id"], "duplicate": False}
        assert "cursor" not in heard


def test_typing_is_seen_by_the_others_in_a_room(person, room):
    ann, phone, bob = person("ann"), person("ann"), person("bob")
    for someone in (ann, phone, bob):
        someone.join(room)
    ann.send("room", room_id=room, to="others", **TYPING)
    assert phone.hear("room") == bob.hear("room")
    assert heard_nothing_else(ann, ann, phone, bob)
