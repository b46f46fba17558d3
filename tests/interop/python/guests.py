"""People of a test's own, on a node alone or on one of a cluster."""

import contextlib
import uuid

import pytest
from people import Person


@pytest.fixture
def fresh():
    """Names of this test's own: what one left in a queue is no other test's business."""
    mark = uuid.uuid4().hex[:8]
    return lambda name: f"{name}-{mark}"


@pytest.fixture
def join_hub():
    """Connects people to a node; each has heard `connected`."""
    with contextlib.ExitStack() as connections:

        def join(node, user, **options):
            person = Person(node, user, **options)
            connections.callback(person.close)
            person.connected = person.hear("connected")
            return person

        yield join
