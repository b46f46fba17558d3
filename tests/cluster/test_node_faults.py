"""Nodes die, stop and come back under load: nothing acknowledged is lost or comes twice."""

import time

from faults import LONG, for_a_while, under_load, until_ready


def test_a_node_is_killed_and_its_clients_go_on_elsewhere(start_cluster):
    cluster = start_cluster()

    async def node_killed(load):
        cluster.nodes[0].kill()

    account = under_load(cluster, node_killed)
    assert account.told == []
    assert account.counts["resumed"] > 0


def test_a_node_is_killed_and_started_again(start_cluster):
    cluster = start_cluster()

    async def node_killed_and_started(load):
        since = time.monotonic()
        cluster.nodes[1].kill()
        await for_a_while(load, 1)
        cluster.nodes[1].launch()
        await until_ready(load, cluster.nodes[1])
        return since

    assert under_load(cluster, node_killed_and_started).told == []


def test_a_node_that_slept_until_it_was_given_up_goes_on_honestly(start_cluster):
    cluster = start_cluster()

    async def node_asleep(load):
        since = time.monotonic()
        cluster.nodes[2].pause()
        await load.recovers(since)
        print(f"\nall clients have left the stopped node after {time.monotonic() - since:.1f} s")
        await for_a_while(load, 30 if LONG else 15)
        since = time.monotonic()
        cluster.nodes[2].go_on()
        return since

    under_load(cluster, node_asleep, nodes_stop=True)


def test_clients_that_stay_with_a_node_asleep_are_given_all_of_it_when_it_wakes(start_cluster):
    cluster = start_cluster()

    async def node_asleep_with_its_clients(load):
        cluster.nodes[2].pause()
        await for_a_while(load, 30 if LONG else 15)
        since = time.monotonic()
        cluster.nodes[2].go_on()
        return since

    account = under_load(cluster, node_asleep_with_its_clients, nodes_stop=True, silence=60)
    assert account.told == []
    assert account.counts["connected"] == len(account.devices), "nobody had to come back"


def test_a_node_is_killed_behind_the_balancer(start_cluster):
    cluster = start_cluster()

    async def node_killed_behind_haproxy(load):
        since = time.monotonic()
        cluster.nodes[1].kill()
        return since

    addresses = [cluster.balancer.address]
    assert under_load(cluster, node_killed_behind_haproxy, addresses=addresses).told == []


def test_a_rolling_restart_under_load_moves_all_and_loses_none(start_cluster):
    cluster = start_cluster(settings=() if LONG else ("drain.timeout=5s",))

    async def rolling_restart(load):
        moved = lost = 0
        for node in cluster.nodes:
            node.tell_to_drain()
            await load.until(lambda node=node: not node.runs(), lambda: "the node has drained", 30)
            some_moved, some_lost = node.farewell()
            moved, lost = moved + some_moved, lost + some_lost
            node.launch()
            await until_ready(load, node)
        print(f"\n{moved} moved, {lost} lost")
        assert moved >= len(load.devices)
        assert lost == 0

    account = under_load(cluster, rolling_restart, addresses=[cluster.balancer.address])
    assert account.told == []
