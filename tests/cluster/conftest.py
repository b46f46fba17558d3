"""What the tests of a cluster stand on: clusters of a test's own, and people on them."""

import contextlib
import uuid

import pytest
from local_cluster import Cluster
from node import Api

pytest_plugins = ["guests"]


class Hub(Api):
    """A node of a cluster, as one speaks to it."""

    def __init__(self, part):
        self.part = part

    @property
    def port(self):
        return self.part.port


@pytest.fixture
def start_cluster(tmp_path):
    """Starts clusters of the test's own; they end with it."""
    with contextlib.ExitStack() as clusters:

        def start(**options):
            cluster = Cluster(tmp_path / uuid.uuid4().hex, **options)
            clusters.callback(cluster.end)
            cluster.start()
            cluster.hubs = [Hub(node) for node in cluster.nodes]
            return cluster

        yield start


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A cluster that a file's tests share: for what concerns only one's own users and rooms."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
        cluster.hubs = [Hub(node) for node in cluster.nodes]
        yield cluster
    finally:
        cluster.end()


@pytest.fixture
def hubs(shared):
    return shared.hubs


@pytest.fixture
def come_back(join_hub):
    """Somebody comes to any node with the session and the place that they knew."""

    def return_to(hub, person, **asks):
        person.close()
        known = {"session_id": person.connected["session_id"], "after": person.cursor}
        return join_hub(hub, person.user, asks=known | asks)

    return return_to
