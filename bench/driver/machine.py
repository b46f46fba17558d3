"""What a figure must be read with (kernel, processor, compiler, commit), and where the built
programs are."""

import datetime
import json
import os
import subprocess
from pathlib import Path

MEASURED = ["crates", "bench/src", "Cargo.toml", "Cargo.lock"]


def circumstances(root):
    """The same for all lines of one scenario's run. Nothing here names the machine."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(root),
        "kernel": f"{os.uname().sysname} {os.uname().release}",
        "cpu": processor(),
        "rustc": output(root, "rustc", "--version").removeprefix("rustc ").split(" ")[0],
        "load_average": round(os.getloadavg()[0], 2),
    }


def commit(root):
    """The commit, with a plus where the work tree differs from it."""
    name = output(root, "git", "rev-parse", "--short=12", "HEAD")
    changed = output(root, "git", "status", "--porcelain", "--", *MEASURED)
    return name + ("+" if changed else "")


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return os.uname().machine


def release_folder(root, build, with_wshub):
    """Where cargo puts release binaries, after it has put them there."""
    if build:
        packages = ["-p", "wshub-bench"] + (["-p", "wshub"] if with_wshub else [])
        subprocess.run(["cargo", "build", "--release", *packages], cwd=root, check=True)
    told = output(root, "cargo", "metadata", "--format-version=1", "--no-deps")
    return Path(json.loads(told)["target_directory"]) / "release"


def output(root, *command):
    return subprocess.run(
        command, cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()
