"""The network to Redis cuts, delays, truncates and swallows: nothing is lost or doubled."""

import contextlib
import time

import pytest
from faults import for_a_while, under_load
from local_cluster import Redis
from wire_tap import WireTap


@pytest.fixture
def tapped(start_cluster):
    """A cluster whose nodes reach Redis by way of a bad network."""
    with contextlib.ExitStack() as taps:

        def start(**options):
            def tap(redis: Redis):
                wire = WireTap(redis.port)
                taps.callback(wire.close)
                cluster_tap.append(wire)
                return wire.address

            cluster_tap = []
            cluster = start_cluster(reach_redis_by=tap, **options)
            return cluster, cluster_tap[0]

        yield start


def test_connections_to_redis_that_are_cut_again_and_again(tapped):
    cluster, tap = tapped()

    async def cut(load):
        for _ in range(10):
            tap.cut()
            await for_a_while(load, 0.4)

    assert under_load(cluster, cut).told == []


def test_a_redis_that_can_not_be_reached_for_a_while(tapped):
    cluster, tap = tapped()

    async def unreachable(load):
        tap.refuses = True
        tap.cut()
        await for_a_while(load, 3)
        tap.mend()

    account = under_load(cluster, unreachable)
    assert account.told == []
    assert account.answers.counts[("http", "unavailable")] > 0


def test_answers_that_end_in_the_middle(tapped):
    cluster, tap = tapped()

    async def truncated(load):
        for length in (30_000, 5_003, 20_011, 40_001, 9_001, 25_013):
            tap.ends_after = length
            await for_a_while(load, 0.6)
        tap.mend()
        tap.cut()

    assert under_load(cluster, truncated).told == []


def test_a_slow_network(tapped):
    cluster, tap = tapped()

    async def slow(load):
        tap.delay = 0.3
        await for_a_while(load, 5)
        since = time.monotonic()
        tap.mend()
        return since

    assert under_load(cluster, slow).told == []


@pytest.mark.parametrize("way", ["questions", "answers"])
def test_a_network_that_swallows(tapped, way):
    cluster, tap = tapped()

    async def swallowed(load):
        setattr(tap, f"swallows_{way}", True)
        await for_a_while(load, 4)
        since = time.monotonic()
        tap.mend()
        return since

    assert under_load(cluster, swallowed).told == []
