"""What the tests stand on: a node that many share, nodes of one's own, and people who leave."""

import contextlib

import pytest
from node import Node
from terminal import Typed
from wire import Wire

pytest_plugins = ["guests"]


@pytest.fixture(scope="session")
def shared_node():
    node = Node()
    yield node
    assert node.end() == 0, "the node ends cleanly whatever the tests did to it"


@pytest.fixture
def node(shared_node):
    """A node that other tests have used before: for what concerns only one's own connections."""
    assert shared_node.process.poll() is None, f"the node is gone: {''.join(shared_node.said)}"
    return shared_node


@pytest.fixture
def start():
    """Starts nodes of the test's own, with settings."""
    with contextlib.ExitStack() as nodes:

        def start_node(*settings, **limits):
            started = Node(*settings, **limits)
            nodes.callback(started.kill)
            return started

        yield start_node


@pytest.fixture
def person(node, join_hub, fresh):
    """Connects people to the shared node, under names of the test's own."""
    return lambda name, **options: join_hub(node, name and fresh(name), **options)


@pytest.fixture
def room(fresh):
    """A room in which nobody was before."""
    return fresh("room")


@pytest.fixture
def come_back(join_hub):
    """Somebody leaves and comes back with the session and the place that they knew."""

    def return_to_hub(person, **asks):
        person.close()
        known = {"session_id": person.connected["session_id"], "after": person.cursor}
        return join_hub(person.node, person.user, asks=known | asks)

    return return_to_hub


@pytest.fixture
def dial():
    """Opens bare TCP connections to a node."""
    with contextlib.ExitStack() as connections:

        def open_connection(node, **options):
            wire = Wire(node, **options)
            connections.callback(wire.close)
            return wire

        yield open_connection


@pytest.fixture
def wire(node, dial, fresh):
    """A bare connection to the shared node, already a client under a name of the test's own."""

    def open_client(name="ann", *headers):
        connection = dial(node)
        connection.open(fresh(name), *headers)
        return connection

    return open_client


@pytest.fixture
def typed(tmp_path):
    """Types commands; each is ended with the test."""
    with contextlib.ExitStack() as commands:

        def run(*arguments, **options):
            command = Typed(*arguments, folder=tmp_path, **options)
            commands.callback(command.kill)
            return command

        yield run
