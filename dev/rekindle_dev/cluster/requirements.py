"""What the machine must have for a real node, and what to do where it lacks something."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from rekindle_dev.processes import PartError

PLUGINS = Path("/usr/lib/cni")
_PACKAGES = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "iptables-save": "iptables",
    "conntrack": "conntrack",
    "ipset": "ipset",
    "ip": "iproute2",
    "mount": "mount",
}
_PLUGINS = ("ptp", "host-local", "loopback")


def check() -> None:
    """Do nothing where a node can run.

    Raises:
        PartError: if not; says what is missing and how to get it.
    """
    if os.geteuid() != 0:
        raise PartError(
            "A real Kubernetes node needs root: it makes containers, network interfaces and firewall rules. "
            "Run this as root, best on a machine of its own. Everything else of Rekindle runs as any user."
        )
    if packages := missing_packages():
        raise PartError(
            f"A real Kubernetes node needs programs that are not installed. On Debian and Ubuntu:\n"
            f"  apt-get install --no-install-recommends {' '.join(packages)}"
        )


def missing_packages(found: Callable[[str], object | None] = shutil.which, plugins: Path = PLUGINS) -> list[str]:
    """Return the Debian packages to install, sorted: those whose programs are not found."""
    missing = {package for program, package in _PACKAGES.items() if not found(program)}
    if not all((plugins / name).is_file() for name in _PLUGINS):
        missing.add("containernetworking-plugins")
    return sorted(missing)
