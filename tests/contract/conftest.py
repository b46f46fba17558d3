"""The two documents, and a node that is held against them."""

import json

import pytest
from node import ROOT, Node

DOCUMENTS = ROOT / "docs"


@pytest.fixture(scope="session")
def node():
    node = Node()
    yield node
    assert node.end() == 0, "the node ends cleanly whatever it was sent"


@pytest.fixture(scope="session")
def openapi():
    return json.loads((DOCUMENTS / "openapi.json").read_text())


@pytest.fixture(scope="session")
def asyncapi():
    return json.loads((DOCUMENTS / "asyncapi.json").read_text())
