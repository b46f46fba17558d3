"""Runs the chosen scenarios round by round, keeps each figure as a line of JSON in
docs/benchmarks/, and redraws the table in docs/benchmarks.md from all that is kept there."""

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
from pathlib import Path

import table
from clusters import benchmark, cluster
from machine import circumstances, release_folder
from scenarios import SCENARIOS, most_clients
from servers import LOADER_CORE, RunFailed, last_words, measure, on_core, serving

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/benchmarks.md"
RAW = ROOT / "docs/benchmarks"


def main():
    asked = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    failed = []
    if not asked.draw:
        names = asked.scenarios or list(SCENARIOS)
        prepare(names)
        folder = release_folder(ROOT, build=not asked.no_build, with_wshub=asked.wshub is None)
        programs = {
            "wshub": asked.wshub.resolve() if asked.wshub else folder / "wshub",
            "bare": folder / "bare",
            "load": folder / "load",
        }
        failed = [name for name in names if not run(name, asked, programs)]
    table.redraw(PAGE, RAW)
    if failed:
        sys.exit(f"without a new figure: {', '.join(failed)}")


def arguments():
    told = "\n".join(f"  {name:<8} {about.told}" for name, about in SCENARIOS.items())
    parser = argparse.ArgumentParser(
        prog="bench/run",
        description=__doc__,
        epilog=f"scenarios:\n{told}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help="which to run (default: all)"
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="rounds of each scenario (default: 5)"
    )
    parser.add_argument("--wshub", type=Path, help="measure this binary and build none of wshub")
    parser.add_argument("--no-build", action="store_true", help="take the binaries that are there")
    parser.add_argument("--draw", action="store_true", help="measure nothing, only draw the table")
    parser.add_argument("--print", action="store_true", help="show the figures, keep none")
    asked = parser.parse_args()
    unknown = [name for name in asked.scenarios if name not in SCENARIOS]
    if unknown:
        parser.error(f"no scenario {unknown[0]!r}: there are {', '.join(SCENARIOS)}")
    if not 1 <= asked.rounds <= 50:
        parser.error("--rounds is from 1 to 50")
    return asked


def prepare(names):
    """Raises the fd limit as far as it goes, and says what would spoil the figures."""
    if not {0, 1} <= os.sched_getaffinity(0):
        sys.exit("two cores are needed: 0 for the server, 1 for the loader")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = max(most_clients(name) for name in names) + 100
    if hard != resource.RLIM_INFINITY and hard < needed:
        sys.exit(f"{needed} file descriptors are needed and {hard} allowed: raise `ulimit -Hn`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if os.getloadavg()[0] > 0.7:
        say("this machine is busy: figures will be worse than they are")


def run(name, asked, programs):
    """All rounds of one scenario; they replace what was kept of it. False: a run had no figure."""
    lines = []
    around = circumstances(ROOT)
    try:
        for number in range(1, asked.rounds + 1):
            for one in SCENARIOS[name].runs():
                say(f"{name} {number}/{asked.rounds}: {one.server} {' '.join(one.load)}")
                with tempfile.TemporaryDirectory() as folder:
                    figures = figures_of(one, programs, Path(folder))
                line = {
                    "scenario": name,
                    "round": number,
                    "server": one.server,
                    "variant": one.variant,
                }
                lines.append(line | {"figures": figures} | around)
                if asked.print:
                    print(json.dumps(lines[-1]), flush=True)
    except RunFailed as failure:
        say(f"{name}: {failure}")
        return False
    if not asked.print:
        RAW.mkdir(exist_ok=True)
        text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        (RAW / f"{name}.jsonl").write_text(text)
    return True


def figures_of(one, programs, folder):
    """What one run finds. In `folder` the servers work and speak."""
    if one.server == "redis":
        return benchmark(one, folder)
    servers, preexec = (serving, on_core(LOADER_CORE)) if one.nodes == 0 else (cluster, None)
    with servers(one, programs, folder) as told:
        try:
            return measure(one, programs, told, preexec)
        except RunFailed as failure:
            said = [last_words(place.parent) for place in sorted(folder.rglob("said"))]
            raise RunFailed("\n".join([str(failure), "the servers said:", *said])) from None


def say(text):
    print(text, file=sys.stderr, flush=True)


main()
