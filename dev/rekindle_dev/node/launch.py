"""Starts the node program as a process of its own, tied to the life of this one."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from rekindle_dev.processes import Child, Program

_READY_SECONDS = 120.0


class ProcessNode:
    """A running process node; `start` it and use it as a context manager, or `close` it."""

    def __init__(self, child: Child, name: str) -> None:
        self._child = child
        self.name = name
        """Name of the Node object."""

    @classmethod
    def start(
        cls,
        kubeconfig: Path,
        directory: Path,
        images: Mapping[str, Sequence[str]],
        name: str = "process-node",
        *,
        client_authority: Path | None = None,
        scripts: Mapping[str, str] | None = None,
        pods: int = 110,
    ) -> Self:
        """Start a node and wait until it is registered.

        Args:
            kubeconfig: how to reach the API server, as an admin.
            directory: where the node and its pods write; one node a directory.
            images: the command that stands for each image's entry point, by image name.
            name: name of the Node object.
            client_authority: certificates (PEM) that vouch for clients of the node; the cluster's own when left out.
            scripts: `MODULE:FUNCTION` that plays each image of idle pods, as `rekindle_dev.node.scripts` says.
            pods: how many pods the node takes.

        Raises:
            PartError: when the node does not get ready; the message has the last lines of its log.
        """
        command = [sys.executable, "-m", "rekindle_dev.node", "--kubeconfig", str(kubeconfig), "--name", name]
        command += ["--pods", str(pods)]
        ready = directory / "ready"
        ready.unlink(missing_ok=True)
        command += ["--directory", str(directory), "--ready-file", str(ready)]
        for image, entry_point in images.items():
            command += ["--image", f"{image}={shlex.join(entry_point)}"]
        for image, function in (scripts or {}).items():
            command += ["--idle-image", f"{image}={function}"]
        if client_authority:
            command += ["--client-ca", str(client_authority)]
        child = Child.start(Program(name, tuple(command)), directory / "node.log")
        try:
            child.wait_until(ready.exists, seconds=_READY_SECONDS)
        except BaseException:
            child.kill()
            raise
        return cls(child, name)

    @property
    def pid(self) -> int:
        """Process id of the node program."""
        return self._child.pid

    def kill(self) -> None:
        """End the node with SIGKILL; what its containers were is ended by what it leaves behind for that."""
        self._child.kill()

    def close(self) -> None:
        """Stop the node and every process of its pods."""
        self._child.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
