"""Ends what a node leaves running when its programs are gone: containers, their supervisors, mounts and traces."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rekindle_dev.cluster.layout import Layout

_PROCESSES = Path("/proc")
_RUNC = Path("/run/containerd/runc/k8s.io")
_SHIM_SOCKETS = "unix:///run/containerd/s/"
_NETWORK_CACHES = (Path("/var/lib/cni/results"), Path("/var/lib/cni/cache"))
_LOG_LINKS = Path("/var/log/containers")
_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_END_SECONDS = 10.0


def clear(layout: Layout) -> None:
    """End all containers of a node whose containerd and kubelet do not run any more, and remove their files.

    Logs stay. Safe to call again, and for a folder where no node ever was.
    """
    if not layout.running.exists():
        return
    bundles = list(layout.running.glob("io.containerd.runtime.v2.task/*/*"))
    _end([*_containers(bundles), *_shims(layout)])
    _unmount(layout)
    for bundle in bundles:
        _forget(bundle)
    for link in _LOG_LINKS.glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(layout.pod_logs):
            link.unlink(missing_ok=True)
    _remove_control_groups()
    # The folder that says that a node was here goes last.
    for folder in (layout.containers, layout.kubelet, layout.network, layout.running):
        shutil.rmtree(folder, ignore_errors=True)
    layout.socket.unlink(missing_ok=True)


def _containers(bundles: list[Path]) -> Iterator[int]:
    """Yield the first process of each container: its end is the end of all processes of the container."""
    for bundle in bundles:
        with suppress(OSError, ValueError):
            pid = int((bundle / "init.pid").read_text())
            # The number may belong to another process by now, but not to one in this container's control group.
            if bundle.name in (_PROCESSES / str(pid) / "cgroup").read_text():
                yield pid


def _shims(layout: Layout) -> Iterator[int]:
    """Yield the processes that supervise the containers of our containerd."""
    for process in _PROCESSES.iterdir():
        if process.name.isdigit():
            with suppress(OSError):
                arguments = (process / "cmdline").read_bytes().split(b"\0")
                if b"containerd-shim" in arguments[0] and str(layout.socket).encode() in arguments:
                    yield int(process.name)


def _end(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + _END_SECONDS
    while any(_runs(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return (_PROCESSES / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _unmount(layout: Layout) -> None:
    """Take off everything that is mounted below our folder, the deepest first."""
    for point in reversed(mounts_below(layout.directory, Path("/proc/self/mountinfo").read_text())):
        subprocess.run(["umount", "--lazy", point], capture_output=True, check=False)


def mounts_below(directory: Path, table: str) -> list[str]:
    """Return the mount points below `directory`, in the order they were made in.

    Args:
        directory: an absolute path.
        table: what the kernel shows as mountinfo.
    """
    points = [line.split()[4].encode().decode("unicode_escape") for line in table.splitlines()]
    return [point for point in points if Path(point).is_relative_to(directory)]


def _forget(bundle: Path) -> None:
    """Remove what containerd, runc and the network plugin keep of a container elsewhere."""
    with suppress(OSError):
        address = (bundle / "address").read_text().strip()
        if address.startswith(_SHIM_SOCKETS):
            Path(address.removeprefix("unix://")).unlink(missing_ok=True)
    shutil.rmtree(_RUNC / bundle.name, ignore_errors=True)
    for cache in _NETWORK_CACHES:
        for file in cache.glob(f"*-{bundle.name}-*"):
            file.unlink(missing_ok=True)


def _remove_control_groups() -> None:
    """Remove the groups of pods that have no processes any more; one with processes refuses to go."""
    for top in (*_CONTROL_GROUPS.glob("kubepods"), *_CONTROL_GROUPS.glob("*/kubepods")):
        for folder, _, _ in os.walk(top, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
