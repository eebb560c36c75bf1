"""The programs of a node that are built from source, once, into the user's cache. Their sources are in `go/`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rekindle_dev.controlplane.build import GoProgram, Report, built, cache_directory

_SOURCES = Path(__file__).parent / "go"


def _node() -> GoProgram:
    """Return kubelet and kube-proxy, one program, which names the Kubernetes version of its go.mod as its version."""
    source = _SOURCES / "node"
    match = re.search(r"k8s\.io/kubernetes (v\S+)", (source / "go.mod").read_text())
    version = match[1] if match else "unknown"
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    flags = " ".join(f"-X {package}.gitVersion={version}" for package in packages)
    return GoProgram("node", source, f"-s -w {flags}", proof=("kubelet", "--version"))


NODE = _node()
COREDNS = GoProgram("coredns", _SOURCES / "coredns", package="github.com/coredns/coredns", proof=("-version",))
ROUTER = GoProgram(
    "kube-router",
    _SOURCES / "kube-router",
    package="github.com/cloudnativelabs/kube-router/v2/cmd/kube-router",
    proof=("--version",),
)
PAUSE = GoProgram("pause", _SOURCES / "pause", proof=("once",))


@dataclass(frozen=True)
class Binaries:
    """Where the programs are that were built."""

    node: Path
    coredns: Path
    router: Path
    pause: Path

    @classmethod
    def find(cls, report_of: Callable[[str], Report]) -> Self:
        """Find all of them, building those that the cache lacks.

        Args:
            report_of: returns, for the name of a program, what is told how far its build is.

        Raises:
            BuildError, ToolchainError: if one must be built and cannot be.
        """
        cache = cache_directory()
        node, coredns, router, pause = (
            built(program, cache, report_of(program.name)) for program in (NODE, COREDNS, ROUTER, PAUSE)
        )
        return cls(node, coredns, router, pause)
