"""The OpenAPI document is right in form, and a running node does what it says."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from conftest import DOCUMENTS
from openapi_spec_validator import validate
from people import Person

HERE = Path(__file__).parent
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]


def test_the_document_keeps_the_rules_of_openapi(openapi):
    validate(openapi)


def test_a_node_serves_the_document_that_stands_in_docs(node):
    answer = node.get("/openapi.json")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.body == (DOCUMENTS / "openapi.json").read_bytes()


def test_each_path_takes_the_methods_of_the_document_and_no_others(node, openapi):
    for path, item in openapi["paths"].items():
        allowed = [method for method in METHODS if method.lower() in item]
        for method in METHODS:
            answer = node.request(method, path.replace("{", "").replace("}", ""))
            if method in allowed:
                assert answer.status not in (404, 405), (method, path)
            else:
                assert answer.status == 405, (method, path)
                assert answer.headers["Allow"].split(", ") == allowed, (method, path)


@pytest.mark.parametrize(
    "path", ["/users", "/rooms", "/users/a/b", "/users/a/", "/rooms/a/b", "/publish/"]
)
def test_what_is_no_path_of_the_document_is_not_found(node, path):
    for method in METHODS:
        assert node.request(method, path).status == 404, (method, path)


def test_answers_have_no_field_that_the_document_does_not_tell(node, openapi):
    ann, room = Person(node, "ann", asks={"rooms": "a/b"}), quote("a/b", safe="")
    with ann.stay:
        assert [ann.hear()["type"] for _ in range(2)] == ["connected", "joined"]
        for path, name in [
            ("/health", "Healthy"),
            ("/stats", "Stats"),
            ("/users/ann", "User"),
            (f"/rooms/{room}", "Room"),
        ]:
            assert set(node.get(path).json) == told(openapi, name), path
        stats, user = node.get("/stats").json, node.get("/users/ann").json
        for part in ("messages_in", "messages_out"):
            assert set(stats[part]) == told(openapi, "ByKind")
        assert set(stats["ledger"]) == told(openapi, "Ledger")
        for part, schema in openapi["components"]["schemas"]["Stats"]["properties"].items():
            # A node without Redis has no cluster.
            if "required" in schema and part not in ("shard_stats", "cluster"):
                assert set(stats[part]) == set(schema["required"]), part
        assert [set(one) for one in user["connections"]] == [told(openapi, "Connection")]


def told(openapi, name):
    """The fields of a schema: none of ours may be missing from an answer."""
    return set(openapi["components"]["schemas"][name]["required"])


def test_a_generator_finds_no_answer_that_the_document_does_not_tell(node):
    asked = subprocess.run(
        [
            Path(sys.executable).parent / "schemathesis",
            f"--config-file={HERE / 'schemathesis.toml'}",
            "run",
            DOCUMENTS / "openapi.json",
            f"--url=http://127.0.0.1:{node.port}",
            "--checks=all",
            "--no-color",
        ],
        cwd=node.folder.name,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "formats", "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        check=False,
    )
    # A request may have a thousand messages in one line.
    said = "\n".join(line[:500] for line in (asked.stdout + asked.stderr).splitlines())
    assert asked.returncode == 0, said
