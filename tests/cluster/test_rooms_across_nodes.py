"""Who is in a room is told alike by all nodes, through moves, deaths and sleeps."""

import time

import pytest
from faults import ask_redis
from node import until

PRESENCE_GRACE = 10
# A node's lease, and what it takes to find that it is gone and to say so.
FACTS_SECONDS = 12


def members(hub, room):
    return hub.get(f"/rooms/{room}").json["users"]


def test_members_are_counted_over_all_nodes(hubs, join_hub, fresh):
    room, names = fresh("room"), [fresh(name) for name in ("ann", "bob", "cy")]
    people = [join_hub(hub, name) for hub, name in zip(hubs, names, strict=True)]
    assert [person.join(room)["members"] for person in people] == [1, 2, 3]
    for hub in hubs:
        assert until(lambda hub=hub: members(hub, room) == names), members(hub, room)
    # A node answers by its own place in the log: now all have read of the last one.
    assert people[0].join(room, presence=True)["users"] == names
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
    # Another one loses the connection now: when that is told the grace is over for both.
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


@pytest.mark.parametrize("reaps", [False, True], ids=["another", "the one that looks for the dead"])
def test_facts_are_right_again_soon_after_a_node_died(start_cluster, join_hub, fresh, reaps):
    cluster = start_cluster()
    reaper = until_there_is(lambda: reaper_of(cluster))
    dying = next(hub for hub in cluster.hubs if (hub.part.name == reaper) == reaps)
    living = [hub for hub in cluster.hubs if hub is not dying]
    room = fresh("room")
    watcher, lost, other = (
        join_hub(hub, fresh(name))
        for hub, name in zip((living[0], dying, living[1]), ("ann", "bob", "cy"), strict=True)
    )
    watcher.join(room, presence=True)
    for person in (lost, other):
        person.join(room)
        assert watcher.hear("presence") == presence(room, "join", person.user)
    dying.part.kill()
    killed = time.monotonic()
    assert watcher.hear("presence", patience=FACTS_SECONDS) == presence(room, "leave", lost.user)
    print(f"\nfacts are right {time.monotonic() - killed:.1f} s after a node's death")
    for hub in living:
        assert until(lambda hub=hub: members(hub, room) == [watcher.user, other.user])
        assert until(
            lambda hub=hub: is_gone(hub, lost.user), killed + FACTS_SECONDS - time.monotonic()
        )
    assert watcher.is_served(), "it is told once"


def test_a_node_that_was_given_up_and_wakes_is_in_its_rooms_again(start_cluster, join_hub, fresh):
    cluster = start_cluster()
    sleeper = cluster.hubs[1]
    room = fresh("room")
    watcher, sleeping = join_hub(cluster.hubs[0], fresh("ann")), join_hub(sleeper, fresh("bob"))
    watcher.join(room, presence=True)
    sleeping.join(room)
    assert watcher.hear("presence") == presence(room, "join", sleeping.user)
    sleeper.part.pause()
    # By then a zombie's reaper is another's affair: it may have slept in the middle of its work.
    assert watcher.hear("presence", patience=3 * FACTS_SECONDS)["event"] == "leave"
    sleeper.part.go_on()
    assert watcher.hear("presence") == presence(room, "join", sleeping.user)
    watcher.send("room", room_id=room, data="awake?")
    while (heard := sleeping.hear())["type"] != "room":
        assert heard["type"] in ("position", "reset"), heard
    assert heard["data"] == "awake?"
    for hub in cluster.hubs:
        assert until(lambda hub=hub: members(hub, room) == [watcher.user, sleeping.user])


def is_gone(hub, user):
    """Whether nobody has this user, and all who could have answered that they don't."""
    told = hub.get(f"/users/{user}").json
    return (told["online"], told.get("missing", [])) == (False, [])


def reaper_of(cluster):
    """The name of the node that looks for the dead, if there is one yet."""
    node = ask_redis(cluster.redis, "GET", "websocket:reaper")
    return node and ask_redis(cluster.redis, "HGET", "websocket:nodes", node)


def until_there_is(ask):
    found = None

    def is_there():
        nonlocal found
        found = ask()
        return found

    assert until(is_there)
    return found
