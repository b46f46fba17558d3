"""One fault after the other, by chance, over a Redis that keeps all: nothing is lost or doubled."""

import random
import time

import pytest
from faults import ALWAYS, LONG, ask_redis, for_a_while, under_load, until_ready
from wire_tap import WireTap


@pytest.mark.timeout(600 if LONG else 120)
def test_nodes_redis_and_the_network_fail_by_turns(start_cluster):
    taps = []

    def tap(redis):
        taps.append(WireTap(redis.port))
        return taps[0].address

    cluster = start_cluster(redis_arguments=ALWAYS, reach_redis_by=tap)
    seed = random.SystemRandom().randrange(1000)
    print(f"\nseed {seed}")
    chance = random.Random(seed)

    async def many_faults(load):
        end = time.monotonic() + (300 if LONG else 20)
        faults = Faults(cluster, taps[0], chance)
        while time.monotonic() < end:
            await faults.commit(load)
            await for_a_while(load, chance.uniform(0, 1.5))

    try:
        assert under_load(cluster, many_faults, nodes_stop=True).told == []
    finally:
        taps[0].close()


class Faults:
    """What may happen to a cluster; each of them is over when it returns."""

    def __init__(self, cluster, tap, chance):
        self.cluster, self.tap, self.chance = cluster, tap, chance

    async def commit(self, load):
        ways = (self.kill_node, self.stop_node, self.kill_redis, self.stop_redis, self.tear)
        await self.chance.choice((*ways, self.swallow, self.forget_scripts, self.kill_clients))(
            load
        )

    async def kill_node(self, load):
        node = self.chance.choice(self.cluster.nodes)
        node.kill()
        await for_a_while(load, self.chance.uniform(0, 2))
        node.launch()
        await until_ready(load, node)

    async def stop_node(self, load):
        node = self.chance.choice(self.cluster.nodes)
        node.pause()
        await for_a_while(load, self.chance.uniform(0, 4))
        node.go_on()

    async def kill_redis(self, load):
        self.cluster.redis.kill()
        await for_a_while(load, self.chance.uniform(0, 2))
        self.cluster.redis.start()

    async def stop_redis(self, load):
        self.cluster.redis.pause()
        await for_a_while(load, self.chance.uniform(0, 4))
        self.cluster.redis.go_on()

    async def tear(self, load):
        self.tap.ends_after = self.chance.randrange(1_000, 30_000)
        await for_a_while(load, self.chance.uniform(0, 2))
        self.tap.mend()
        self.tap.cut()

    async def swallow(self, load):
        way = self.chance.choice(["swallows_questions", "swallows_answers"])
        setattr(self.tap, way, True)
        await for_a_while(load, self.chance.uniform(0, 4))
        self.tap.mend()

    async def forget_scripts(self, _):
        ask_redis(self.cluster.redis, "SCRIPT", "FLUSH")

    async def kill_clients(self, _):
        ask_redis(self.cluster.redis, "CLIENT", "KILL", "TYPE", self.chance.choice(KINDS))


KINDS = ("normal", "pubsub")
