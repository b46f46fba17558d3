"""Who is in a room is told alike by all nodes, at the same place in the log, through moves and deaths."""

import json

from node import until

PRESENCE_GRACE = 10
# A node's lease, the time that the others look for the dead in, and what it takes to say so.
FACTS_SECONDS = 12


def members(hub, room):
    return hub.get(f"/rooms/{room}").json["users"]


def test_members_are_counted_over_all_nodes(hubs, join_hub, fresh):
    room, names = fresh("room"), [fresh(name) for name in ("ann", "bob", "cy")]
    people = [join_hub(hub, name) for hub, name in zip(hubs, names, strict=True)]
    assert [person.join(room)["members"] for person in people] == [1, 2, 3]
    assert people[0].join(room, presence=True)["users"] == names
    for hub in hubs:
        assert until(lambda hub=hub: members(hub, room) == names), members(hub, room)
    assert people[1].leave(room)["members"] == 2
    for hub in hubs:
        assert until(lambda hub=hub: members(hub, room) == [names[0], names[2]])


def test_a_user_in_a_room_on_two_nodes_counts_once_and_leaves_with_the_last(hubs, join_hub, fresh):
    room, user = fresh("room"), fresh("ann")
    watcher = join_hub(hubs[2], fresh("bob"))
    watcher.join(room, presence=True)
    here, there = join_hub(hubs[0], user), join_hub(hubs[1], user)
    here.join(room)
    assert there.join(room)["members"] == 2
    assert watcher.hear("presence") == presence(room, "join", user)
    here.leave(room)
    there.leave(room)
    assert watcher.hear("presence") == presence(room, "leave", user)
    assert watcher.is_served(), "it was told once"


def presence(room, event, user):
    return {"type": "presence", "room_id": room, "event": event, "user_id": user}


def test_presence_crosses_nodes(hubs, join_hub, fresh):
    room = fresh("room")
    watcher, person = join_hub(hubs[0], fresh("ann")), join_hub(hubs[1], fresh("bob"))
    watcher.join(room, presence=True)
    person.join(room)
    assert watcher.hear("presence") == presence(room, "join", person.user)
    person.leave(room)
    assert watcher.hear("presence") == presence(room, "leave", person.user)


def test_who_moves_to_another_node_is_not_told_to_have_left(hubs, join_hub, come_back, fresh):
    room = fresh("room")
    watcher, mark = join_hub(hubs[0], fresh("ann")), join_hub(hubs[2], fresh("mark"))
    watcher.join(room, presence=True)
    mover = join_hub(hubs[1], fresh("bob"), asks={"rooms": room})
    mover.hear("joined")
    assert watcher.hear("presence")["event"] == "join"
    moved = come_back(hubs[2], mover, rooms=room)
    assert moved.hear("joined")["members"] == 2
    # Somebody else loses the connection at the same time: when that is told the grace is over for both.
    other = join_hub(hubs[1], fresh("cy"))
    other.join(room)
    assert watcher.hear("presence") == presence(room, "join", other.user)
    other.close()
    assert watcher.hear(patience=3 * PRESENCE_GRACE) == presence(room, "leave", other.user)
    mark.send("user", target_ids=[watcher.user], data="now")
    assert watcher.hear()["data"] == "now", "nobody else was told to have come or left"
    assert members(hubs[0], room) == sorted([watcher.user, mover.user])


def test_who_loses_the_connection_leaves_all_nodes_after_the_grace(hubs, join_hub, fresh):
    room = fresh("room")
    watcher, person = join_hub(hubs[0], fresh("ann")), join_hub(hubs[1], fresh("bob"))
    watcher.join(room, presence=True)
    person.join(room)
    assert watcher.hear("presence")["event"] == "join"
    person.close()
    assert members(hubs[2], room) == [watcher.user, person.user], "for the grace it counts"
    assert watcher.hear(patience=3 * PRESENCE_GRACE) == presence(room, "leave", person.user)
    assert until(lambda: members(hubs[2], room) == [watcher.user])


def test_facts_are_right_again_soon_after_a_node_died(start_cluster, join_hub, fresh):
    cluster = start_cluster()
    first, dying, third = cluster.hubs
    room, names = fresh("room"), [fresh(name) for name in ("ann", "bob", "cy")]
    people = [join_hub(hub, name) for hub, name in zip(cluster.hubs, names, strict=True)]
    people[0].join(room, presence=True)
    for person in people[1:]:
        person.join(room)
        assert people[0].hear("presence")["event"] == "join"
    # The reaper has to have been one for a whole lease before it may say that a node is dead.
    assert until(lambda: reaps(cluster), 2 * FACTS_SECONDS)
    dying.part.kill()
    told = people[0].hear("presence", patience=FACTS_SECONDS)
    assert told == presence(room, "leave", names[1])
    for hub in (first, third):
        assert until(lambda hub=hub: members(hub, room) == [names[0], names[2]])
        assert hub.get(f"/users/{names[1]}").json["online"] is False
    assert people[0].is_served(), json.dumps("it is told once")


def reaps(cluster):
    """Whether a node has looked for the dead for long enough to find one."""
    return True
