"""The command that starts a cluster: it says where all is, and takes all with it at its end."""

import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
from local_cluster import ROOT
from node import Api, until
from terminal import Lines

COMMAND = str(ROOT / "deploy/cluster")


class Started(Api):
    """A cluster as the command starts it; one speaks to it by way of the balancer."""

    def __init__(self, folder, *arguments):
        # Where it can be told something depends on the folder for temporary files.
        self.environment = os.environ | {"TMPDIR": folder}
        self.process = subprocess.Popen(
            [COMMAND, "--port", "0", "--set", "drain.timeout=3s", *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        lines = Lines(self.process.stdout)
        lines.until("Ctrl-C")
        said = lines.all
        self.port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", said[0])[1])
        self.pids = [int(pid) for pid in re.findall(r"pid (\d+)", " ".join(said))]

    def type(self, *words):
        command = [COMMAND, *words]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def start():
    with tempfile.TemporaryDirectory() as folder:
        started = []

        def begin(*arguments):
            started.append(Started(folder, *arguments))
            return started[-1]

        yield begin
        for one in started:
            one.process.kill()
            one.process.wait(10)
            one.process.stdout.close()


def test_a_rolling_restart_by_the_command_moves_all_and_loses_none(start, join_hub):
    cluster = start()
    people = [join_hub(cluster, f"user{number}") for number in range(3)]
    restarted = cluster.type("rolling-restart")
    assert restarted.returncode == 0, restarted
    assert re.fullmatch(r"\d+ moved, 0 lost", restarted.stdout.splitlines()[-1])
    assert [person.hear_close() for person in people] == [1012] * 3
    assert cluster.publish({"type": "broadcast", "data": 1}).status == 200


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_all_parts_end_with_the_command(start, how):
    cluster = start("--nodes", "2")
    assert len(cluster.pids) == 4
    assert all(runs(pid) for pid in cluster.pids)
    cluster.process.send_signal(how)
    status = cluster.process.wait(20)
    assert status == (0 if how == signal.SIGTERM else -how)
    assert until(lambda: not any(runs(pid) for pid in cluster.pids))
    assert cluster.type("rolling-restart").returncode == 1, "there is none to restart"
