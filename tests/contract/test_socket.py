"""The AsyncAPI document is held against the golden messages, what is said and what is refused."""

import json

import pytest
from conftest import DOCUMENTS
from jsonschema import Draft7Validator
from node import ROOT
from referencing import Registry
from referencing.jsonschema import DRAFT7

VECTORS = ROOT / "crates/protocol/vectors"
# What HTTP answers to a publish stands in the other document.
OVER_HTTP = {"published": "Published", "http_error": "Error"}
# The codes by which JSON is refused for what a schema could tell.
BY_SCHEMA = {"invalid_message", "unknown_type", "bad_cursor"}
BEYOND_SCHEMAS = {
    "101 targets": "repeats count once, so that the length alone says nothing",
    "targets: a lone surrogate": "is a character to a schema",
    "a room with a lone surrogate": "is a character to a schema",
    "ack of an epoch beyond 32 bits": "a pattern counts digits",
    "ack of a partition beyond 65,535": "a pattern counts digits",
    "ack of an offset beyond 64 bits": "a pattern counts digits",
}


def cases(file):
    return json.loads((VECTORS / file).read_text())["cases"]


def text_of(case):
    """The message of a case; None where it is no text."""
    if "pieces" in case:
        return "".join(piece * times for piece, times in case["pieces"])
    return case.get("text")


def named(case):
    return case["name"]


@pytest.fixture(scope="session")
def says(openapi, asyncapi):
    """Makes a validator of a schema, by its document and the way to it."""
    names = {"openapi.json": openapi, "asyncapi.json": asyncapi}
    documents = [(uri(name), DRAFT7.create_resource(text)) for name, text in names.items()]
    registry = Registry().with_resources(documents)

    def validator(document, *ways):
        refs = [{"$ref": f"{uri(document)}#/{way}"} for way in ways]
        return Draft7Validator({"anyOf": refs}, registry=registry)

    return validator


def uri(name):
    return (DOCUMENTS / name).as_uri()


@pytest.fixture(scope="session")
def taken(asyncapi, says):
    """A validator of what a client may send."""
    operations = asyncapi["operations"].values()
    messages = [
        ref["$ref"] for one in operations if one["action"] == "receive" for ref in one["messages"]
    ]
    names = {ref.rsplit("/", 1)[1] for ref in messages}
    return says("asyncapi.json", *(f"components/messages/{name}/payload" for name in sorted(names)))


def properties_of(asyncapi, name):
    return set(asyncapi["components"]["messages"][name]["payload"]["properties"])


@pytest.mark.parametrize("case", cases("server_messages.json"), ids=named)
def test_what_the_server_says_is_what_the_document_tells(says, asyncapi, openapi, case):
    message, name = json.loads(case["text"]), case["writes"]
    if name in OVER_HTTP:
        schemas = openapi["components"]["schemas"][OVER_HTTP[name]]
        says("openapi.json", f"components/schemas/{OVER_HTTP[name]}").validate(message)
        assert set(message) <= set(schemas["properties"])
    else:
        says("asyncapi.json", f"components/messages/{name}/payload").validate(message)
        assert set(message) <= properties_of(asyncapi, name), "a field that isn't told"


def test_the_document_tells_of_no_message_and_no_field_that_the_server_never_says(asyncapi):
    operations = asyncapi["operations"].values()
    sent = [one["messages"] for one in operations if one["action"] == "send"]
    replies = [one["reply"]["messages"] for one in operations if "reply" in one]
    told = {ref["$ref"].rsplit("/", 1)[1] for refs in sent + replies for ref in refs}
    said = {}
    for case in cases("server_messages.json"):
        said.setdefault(case["writes"], set()).update(json.loads(case["text"]))
    assert told == set(said) - set(OVER_HTTP)
    assert {name: properties_of(asyncapi, name) for name in told} == {
        name: said[name] for name in told
    }


@pytest.mark.parametrize(
    "case", [case for case in cases("client_messages.json") if "message" in case], ids=named
)
def test_what_a_client_may_send_is_what_the_document_takes(taken, case):
    taken.validate(json.loads(text_of(case)))


def is_refused_by_schema(case):
    """Whether it is refused for more than a key that is there twice, of which a schema sees one."""
    if case.get("refused", {}).get("code") not in BY_SCHEMA:
        return False
    twice = []

    def note_repeats(pairs):
        twice.append(len(pairs) > len(dict(pairs)))
        return dict(pairs)

    json.loads(text_of(case), object_pairs_hook=note_repeats)
    return not any(twice)


@pytest.mark.parametrize(
    "case", list(filter(is_refused_by_schema, cases("client_messages.json"))), ids=named
)
def test_what_is_refused_is_nothing_that_the_document_takes(taken, case):
    message = json.loads(text_of(case))
    assert taken.is_valid(message) == (case["name"] in BEYOND_SCHEMAS)
