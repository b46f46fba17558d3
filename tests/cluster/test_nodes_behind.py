"""A node that slept is behind the log: it catches up before it speaks of it, or says so."""

import threading

from faults import ask_redis
from node import until


def publish_to(hub, user, data):
    answer = hub.publish({"type": "user", "target_ids": [user], "data": data})
    assert answer.status == 200
    return answer.json["cursor"]


def test_who_resumes_on_a_node_that_just_woke_is_given_what_it_slept_through(
    start_cluster, join_hub, come_back, fresh
):
    awake, sleeper, _ = start_cluster().hubs
    person = join_hub(awake, fresh("ann"))
    publish_to(awake, person.user, "first")
    person.hear("user")
    sleeper.part.pause()
    for number in range(100):
        publish_to(awake, person.user, number)
        # It knows a place that the sleeper hasn't read of.
        assert person.hear("user")["data"] == number
    for number in range(100, 200):
        publish_to(awake, person.user, number)
    # The connection is made by the kernel, and answered by the node once it wakes.
    waking = threading.Timer(0.2, sleeper.part.go_on)
    waking.start()
    again = come_back(sleeper, person)
    waking.join()
    assert again.connected["resumed"] is True
    assert [again.hear("user")["data"] for _ in range(100)] == list(range(100, 200))
    assert again.is_served()


def test_a_node_that_slept_through_what_the_log_let_go_of_tells_its_clients(
    start_cluster, join_hub, fresh
):
    cluster = start_cluster()
    awake, sleeper, _ = cluster.hubs
    room, person = fresh("room"), join_hub(sleeper, fresh("ann"))
    person.join(room)
    sleeper.part.pause()

    def say(data):
        assert awake.publish({"type": "room", "room_id": room, "data": data}).status == 200

    for number in range(50):
        say(number)
    ask_redis(cluster.redis, "DEL", "websocket:log")
    say("after")
    sleeper.part.go_on()
    # What Redis had sent before it slept comes first.
    before = 0
    while (heard := person.hear())["type"] == "room":
        assert heard["data"] == before, "nothing is missing without a word"
        before += 1
    assert (heard["type"], heard["reason"]) == ("reset", "node_behind")
    assert until(lambda: sleeper.get("/health").json["status"] == "healthy")
    say("and on")
    # What stands between the gap and the place that the reset names may come or not.
    heard = person.hear("room")["data"]
    assert (person.hear("room")["data"] if heard == "after" else heard) == "and on"
