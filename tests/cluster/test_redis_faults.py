"""Redis dies, stops, forgets and refuses under load: what it kept comes, what it lost is told."""

import time

import pytest
from faults import ALWAYS, EVERYSEC, LONG, NOTHING, ask_redis, busy, for_a_while, under_load


@pytest.mark.parametrize("kept", [ALWAYS, EVERYSEC], ids=["always", "everysec"])
def test_a_redis_that_is_killed_and_kept_everything_is_gone_on_with(start_cluster, kept):
    cluster = start_cluster(redis_arguments=kept)

    async def redis_killed(load):
        cluster.redis.kill()
        await for_a_while(load, 2)
        cluster.redis.start()

    assert under_load(cluster, redis_killed).told == []


def test_a_redis_that_is_killed_and_kept_nothing_is_told_of(start_cluster):
    cluster = start_cluster(redis_arguments=NOTHING)

    async def redis_killed_without_aof(load):
        cluster.redis.kill()
        await for_a_while(load, 1)
        cluster.redis.start()

    account = under_load(cluster, redis_killed_without_aof, redis_loses=True)
    assert account.told == ["log_lost"]


def test_a_redis_that_lost_the_end_of_the_log_is_told_of(start_cluster):
    cluster = start_cluster(redis_arguments=EVERYSEC)

    async def power_lost(load):
        cluster.redis.kill()
        folder = cluster.redis.folder / "appendonlydir"
        [newest] = folder.glob("*.incr.aof")
        with newest.open("r+b") as file:
            file.truncate(newest.stat().st_size - 60_000)
        cluster.redis.start()

    account = under_load(cluster, power_lost, redis_loses=True)
    assert account.told == ["log_lost"]


def test_a_redis_that_is_stopped_for_a_while_is_waited_for(start_cluster):
    cluster = start_cluster()

    async def redis_stopped(load):
        cluster.redis.pause()
        await for_a_while(load, 30 if LONG else 6)
        since = time.monotonic()
        cluster.redis.go_on()
        return since

    assert under_load(cluster, redis_stopped).told == []


def test_a_redis_that_was_flushed_is_told_of(start_cluster):
    cluster = start_cluster()

    async def flushed(load):
        ask_redis(cluster.redis, "FLUSHALL")

    assert under_load(cluster, flushed, redis_loses=True).told == ["log_lost"]


def test_a_log_that_was_deleted_is_gone_on_with_where_all_had_read_it(start_cluster):
    cluster = start_cluster()

    async def log_deleted(load):
        ask_redis(cluster.redis, "DEL", "websocket:log")

    # Whoever was behind is told so.
    assert set(under_load(cluster, log_deleted).told) <= {"node_behind"}


def test_a_redis_that_forgot_its_scripts_is_told_them_again(start_cluster):
    cluster = start_cluster()

    async def scripts_flushed(load):
        for _ in range(20):
            ask_redis(cluster.redis, "SCRIPT", "FLUSH")
            await for_a_while(load, 0.05)

    assert under_load(cluster, scripts_flushed).told == []


@pytest.mark.parametrize("kind", ["normal", "pubsub"])
def test_a_redis_that_ends_its_connections_is_connected_to_again(start_cluster, kind):
    cluster = start_cluster()

    async def clients_killed(load):
        for _ in range(3):
            ask_redis(cluster.redis, "CLIENT", "KILL", "TYPE", kind)
            await for_a_while(load, 0.5)

    assert under_load(cluster, clients_killed).told == []


def test_a_redis_without_memory_refuses_and_goes_on_when_it_has_some(start_cluster):
    cluster = start_cluster()

    async def out_of_memory(load):
        ask_redis(cluster.redis, "CONFIG", "SET", "maxmemory", "1mb")
        await for_a_while(load, 4)
        since = time.monotonic()
        ask_redis(cluster.redis, "CONFIG", "SET", "maxmemory", "0")
        return since

    account = under_load(cluster, out_of_memory)
    assert account.told == []
    assert account.answers.counts[("http", "unavailable")] > 0


def test_a_redis_that_became_a_replica_is_away_until_it_is_a_master_again(start_cluster):
    cluster = start_cluster()

    async def read_only(load):
        ask_redis(cluster.redis, "REPLICAOF", "127.0.0.1", "1")
        await for_a_while(load, 4)
        since = time.monotonic()
        ask_redis(cluster.redis, "REPLICAOF", "NO", "ONE")
        return since

    account = under_load(cluster, read_only)
    assert account.told == []
    assert account.answers.counts[("http", "unavailable")] > 0


def test_a_redis_that_is_busy_is_away_until_it_is_free(start_cluster):
    cluster = start_cluster(redis_arguments=(*NOTHING, "--busy-reply-threshold", "200"))

    async def busy_for_a_while(load):
        with busy(cluster.redis):
            await for_a_while(load, 4)
            since = time.monotonic()
            ask_redis(cluster.redis, "SCRIPT", "KILL")
        return since

    assert under_load(cluster, busy_for_a_while).told == []
