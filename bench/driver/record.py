"""Has messages said to a node while its clients come, go, stall and vanish, and holds the node's
ledger against what they saw. Twice, each time on a node of its own: once connections end only with
a goodbye, so that all numbers must be equal, and once in every other way. Ends with 0 if nothing
was lost, doubled or out of order and the ledgers add up, else with 1."""

import argparse
import contextlib
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import release_folder
from namespaces import NotPermitted, far_away
from servers import RunFailed, last_words, running

ROOT = Path(__file__).resolve().parents[2]
SHORT = "60000"
# What was said stays for as long as the slowest machine takes, so that nobody has to reload.
ALWAYS = ["log.bytes=2GiB", "log.retention=10m", "dedupe.bytes=1GiB"]
# Nobody is closed for being slow, and nothing that waits for users is given up.
GENTLE = ["limits.queue_messages=1000000", "limits.queue_bytes=64MiB", "offline.messages=10000"]
GENTLE += ["offline.user_bytes=16MiB"]
# What waits for users is given up for its number and for its age. Slow connections meet one policy
# for everybody and most rooms, the others in some rooms.
ROUGH = [
    "offline.ttl=2s",
    'slow.policy="drop"',
    'slow.room=[{pattern="*-r1*",policy="disconnect"},{pattern="*-r2*",policy="latest"}]',
]


def main():
    asked, more = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    folder = release_folder(ROOT, build=not asked.no_build, with_wshub=asked.wshub is None)
    programs = (asked.wshub.resolve() if asked.wshub else folder / "wshub", folder / "record")
    if asked.short:
        more = ["--messages", SHORT, *more]
    try:
        print("## Connections end with a goodbye\n", flush=True)
        failed = record(programs, "127.0.0.1", GENTLE, ["--gentle", *more])
        print("\n## Connections end in every way\n", flush=True)
        with contextlib.ExitStack() as stack:
            host, where, settings = "127.0.0.1", [], ROUGH
            try:
                namespace, device, host = stack.enter_context(far_away())
                where = ["--namespace", namespace, "--device", device]
                settings = [*ROUGH, "auth.trust_network=true"]
            except NotPermitted as reason:
                print(f"Nobody vanishes, since there is no network namespace: {reason}.\n")
            return record(programs, host, settings, [*where, *more]) or failed
    except RunFailed as failure:
        print(f"record: {failure}", file=sys.stderr)
        return 1


def record(programs, host, settings, arguments):
    """One run on a node of its own; what the recorder ends with."""
    wshub, recorder = programs
    with tempfile.TemporaryDirectory() as said:
        command = [wshub, "serve", "--listen", f"{host}:0", "--node", "recorded"]
        for setting in [*ALWAYS, *settings]:
            command += ["--set", setting]
        with running(command, Path(said)) as (_, address):
            status = subprocess.run([recorder, "--server", address, *arguments]).returncode
            if status != 0:
                print(f"the server said:\n{last_words(Path(said))}", file=sys.stderr)
            return status


def arguments():
    parser = argparse.ArgumentParser(
        prog="bench/record",
        description=__doc__,
        epilog="What else is given goes to the recorder: --messages, --seed.",
    )
    parser.add_argument("--short", action="store_true", help=f"{SHORT} messages each time")
    parser.add_argument("--wshub", type=Path, help="run this binary and build none of wshub")
    parser.add_argument("--no-build", action="store_true", help="take the binaries that are there")
    return parser.parse_known_args()


if __name__ == "__main__":
    sys.exit(main())
