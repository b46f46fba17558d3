"""A cluster to which nothing happens: what any node acknowledges reaches all, in one order."""

import asyncio
import time

from load import Load


def test_all_that_is_published_on_any_node_reaches_all_in_one_order(start_cluster):
    cluster = start_cluster()

    async def story():
        async with Load([node.address for node in cluster.nodes]) as load:
            for _ in range(3):
                await load.recovers(time.monotonic() + 1)
            return await load.settle()

    account = asyncio.run(story()).holds()
    assert account.told == []
    assert account.counts["again"] == account.counts["anew"] == 0
