"""The examples for back ends, as somebody runs them: what a user hears, what a second try does."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from node import ROOT, SECONDS, environment

NOTIFICATIONS = ROOT / "examples/notifications"
COMMANDS = {
    "python": [sys.executable, NOTIFICATIONS / "notify.py"],
    "node": ["node", NOTIFICATIONS / "notify.mjs"],
}


@pytest.fixture(params=COMMANDS.values(), ids=COMMANDS.keys())
def notify(request):
    """Runs the example in one of its languages to its end."""

    def run(*arguments):
        return subprocess.run(
            [*request.param, *arguments],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=3 * SECONDS,
            check=False,
        )

    return run


@pytest.fixture
def unsteady_hub():
    """A hub that knows no answer to the first request, loses the second, and takes the third."""
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            if len(bodies) == 2:
                self.close_connection = True
                return
            self.send_response(504 if len(bodies) == 1 else 200)
            self.end_headers()
            self.wfile.write(b'{"id":"m","cursor":"1.a:0:1","duplicate":false}')

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", bodies
    server.shutdown()
    server.server_close()


def url(node):
    return f"http://127.0.0.1:{node.port}"


def test_a_user_hears_the_notification_now_and_when_they_come(node, notify, person, fresh):
    ann, bob = person("ann"), fresh("bob")
    for user in (ann.user, bob):
        ended = notify(user, "Grüße, <b>you</b> & all", "--node", url(node))
        assert ended.returncode == 0, ended.stderr
        assert json.loads(ended.stdout)["duplicate"] is False
    for someone in (ann, person("bob")):
        heard = someone.hear("user")
        assert (heard["from"], heard["data"]) == ("", {"text": "Grüße, <b>you</b> & all"})


def test_a_notification_of_one_name_is_published_once(node, notify, person, fresh):
    ann, name = person("ann"), fresh("parcel")
    ended = [notify(ann.user, "here", "--id", name, "--node", url(node)) for _ in range(2)]
    assert [json.loads(one.stdout)["duplicate"] for one in ended] == [False, True]
    assert ann.hear("user")["id"] == name
    assert ann.is_served(), "nothing else was waiting"


def test_what_got_no_answer_is_sent_again_as_it_was(notify, unsteady_hub):
    address, bodies = unsteady_hub
    ended = notify("ann", "here", "--node", address)
    assert ended.returncode == 0, ended.stderr
    assert len(bodies) == 3
    assert len(set(bodies)) == 1, "each try has the same id"


def test_a_refusal_is_told_and_not_tried_again(node, notify):
    ended = notify("", "here", "--node", url(node))
    assert ended.returncode == 1
    assert "invalid_message" in ended.stderr


def test_the_json_of_a_go_struct_is_accepted_as_it_comes(start, join_hub):
    # A node of its own: the file has one id, which another test run may have used.
    node = start()
    ann = join_hub(node, "ann")
    body = (NOTIFICATIONS / "message.json").read_bytes()
    answer = node.publish(body)
    assert (answer.status, answer.json["id"]) == (200, "parcel-17")
    assert ann.hear("user")["data"] == {"text": "Tom & Ann: your parcel is here"}
    # The same struct on a socket, and for a room, whose targets are then `null`.
    bob = join_hub(node, "bob")
    to_room = body.replace(b'"user"', b'"room"').replace(b'["ann"]', b"null")
    bob.send("join", room_id="parcels")
    bob.hear("joined")
    bob.say(to_room.replace(b'"room_id":""', b'"room_id":"parcels"').decode())
    assert bob.hear("room")["data"] == {"text": "Tom & Ann: your parcel is here"}
