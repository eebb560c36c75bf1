"""Where the programs of the control plane come from: envtest's folder if the user names one, else our own build."""

import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from rekindle_dev.controlplane.build import BuildProgress, GoProgram, Report, built, cache_directory

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
_SOURCE = Path(__file__).parent / "program"


def go_program() -> GoProgram:
    """Return our own program, which names the Kubernetes version of its go.mod as its version."""
    match = re.search(r"k8s\.io/kubernetes (v\S+)", (_SOURCE / "go.mod").read_text())
    version = match[1] if match else "unknown"
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    flags = " ".join(f"-X {package}.gitVersion={version}" for package in packages)
    return GoProgram("controlplane", _SOURCE, f"-s -w {flags}")


def find_programs(
    report: Report, *, say: Callable[[str], None], assets: str | None = None, cache: Path | None = None
) -> Mapping[str, tuple[str, ...]]:
    """Return the command of each component.

    Args:
        report: told how far a build is, if there must be one.
        say: told in a sentence what a user should know.
        assets: folder of envtest's binaries; the environment variable KUBEBUILDER_ASSETS when left out.
        cache: where builds are kept; the user's cache folder when left out.

    Raises:
        BuildError, ToolchainError: if a component must be built and cannot be.
    """
    assets = os.environ.get("KUBEBUILDER_ASSETS", "") if assets is None else assets
    given = {
        name: (str(Path(assets, name)),) for name in COMPONENTS if assets and os.access(Path(assets, name), os.X_OK)
    }
    missing = [name for name in COMPONENTS if name not in given]
    if not missing:
        return given
    if assets:
        say(f"{assets} has no {', '.join(missing)}: taking ours.")
    binary = built(go_program(), cache or cache_directory(), report)
    return {name: given.get(name, (str(binary), name)) for name in COMPONENTS}


class PlainReport:
    """Shows a build as lines of text: one when it begins, then one every ten seconds."""

    def __init__(self, name: str = "Kubernetes control plane") -> None:
        self._name = name
        self._next = 0.0

    def __call__(self, progress: BuildProgress) -> None:
        """Print how far the build is, if it is time to."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + 10
        print(f"{self._name}: {describe(progress)}", file=sys.stderr, flush=True)


def describe(progress: BuildProgress) -> str:
    """Return the state of a build in one line."""
    minutes, seconds = divmod(int(progress.seconds), 60)
    parts = [f"{progress.stage} {minutes}:{seconds:02}"]
    if progress.modules:
        parts.append(f"{progress.modules} modules downloaded")
    if progress.packages:
        parts.append(f"{progress.packages} packages compiled")
    return ", ".join(parts)
