"""A network of two: this machine, and a namespace at the other end of a veth pair whose link can
be taken down, so that a peer vanishes without a word."""

import contextlib
import os
import shutil
import subprocess


class NotPermitted(Exception):
    """This machine doesn't let us; the text says what is missing."""


@contextlib.contextmanager
def far_away():
    """The namespace, the device in it, and the address of this end."""
    if shutil.which("ip") is None:
        raise NotPermitted("there is no `ip` (Debian: iproute2)")
    number = os.getpid()
    namespace, here, there = f"wshub-record-{number}", f"wsr{number}a", f"wsr{number}b"
    # A network of four addresses that hardly anybody uses, another one for each process.
    network = f"10.213.{number // 64 % 256}"
    near, far = (f"{network}.{number % 64 * 4 + host}" for host in (1, 2))
    with contextlib.ExitStack() as stack:
        try:
            ip("netns", "add", namespace)
            stack.callback(ip, "netns", "delete", namespace)
            ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", namespace)
            # Sockets that still close hold on to a namespace and its end of the pair: this end
            # goes at once.
            stack.callback(ip, "link", "delete", here)
            ip("address", "add", f"{near}/30", "dev", here)
            ip("link", "set", here, "up")
            ip("-n", namespace, "address", "add", f"{far}/30", "dev", there)
            ip("-n", namespace, "link", "set", there, "up")
        except subprocess.CalledProcessError as failure:
            raise NotPermitted(f"`ip` says {failure.stderr.strip()!r}") from None
        yield namespace, there, near


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
