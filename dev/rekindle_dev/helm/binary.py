"""Builds helm once into the user's cache, and runs it away from the user's own settings of helm."""

import os
import re
import subprocess
from pathlib import Path

from rekindle_dev.controlplane.build import GoProgram, Report, built, cache_directory
from rekindle_dev.controlplane.programs import PlainReport

_SOURCE = Path(__file__).parent / "program"


class HelmError(RuntimeError):
    """A helm command failed. The message is what helm said."""


def go_program() -> GoProgram:
    """Return helm as a program to build, told the versions that its own Makefile would tell it.

    Without a cluster to ask, charts are rendered for the Kubernetes version of the client that helm is made with.
    """
    text = (_SOURCE / "go.mod").read_text()
    version = _version(text, "helm.sh/helm/v3")
    minor = _version(text, "k8s.io/client-go").split(".")[1]
    kubernetes = " ".join(
        f"-X helm.sh/helm/v3/pkg/{package}.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/{package}.k8sVersionMinor={minor}"
        for package in ("chartutil", "lint/rules")
    )
    flags = f"-s -w -X helm.sh/helm/v3/internal/version.version={version} {kubernetes}"
    return GoProgram("helm", _SOURCE, flags, package="helm.sh/helm/v3/cmd/helm", proof=("version",))


def helm_binary(report: Report | None = None) -> Path:
    """Return the path of helm, building it first when the cache lacks it (about a minute).

    Args:
        report: told how far the build is; lines on standard error when left out.

    Raises:
        BuildError, ToolchainError: if it must be built and cannot be.
    """
    return built(go_program(), cache_directory(), report or PlainReport("helm"))


def run(
    *arguments: str | Path,
    kubeconfig: Path | None = None,
    directory: Path | None = None,
    stdin: str | None = None,
    seconds: float = 600,
) -> str:
    """Run a helm command and return its standard output.

    Args:
        arguments: as on helm's command line: `run("template", "shop", "charts/rekindle")`.
        kubeconfig: of the cluster; none when left out, so that no command reaches a cluster by accident.
        directory: the working directory.
        stdin: what helm reads with `-f -`.
        seconds: how long it may take.

    Raises:
        BuildError, ToolchainError: if helm must be built and cannot be.
        HelmError: if the command fails; with what it said.
    """
    answer = subprocess.run(
        [helm_binary(), *arguments],
        env=_environment(kubeconfig),
        cwd=directory,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if answer.returncode != 0:
        said = "\n".join(part for part in (answer.stdout.strip(), answer.stderr.strip()) if part)
        raise HelmError(f"helm {' '.join(map(str, arguments))} failed:\n{said}")
    return answer.stdout


def _environment(kubeconfig: Path | None) -> dict[str, str]:
    """Return our environment without what the user set for his own helm: plugins, namespace, registries."""
    home = cache_directory() / "helm" / "home"
    own = {name: value for name, value in os.environ.items() if not name.startswith("HELM_") and name != "KUBECONFIG"}
    folders = {f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    return {**own, **folders, "KUBECONFIG": str(kubeconfig or os.devnull)}


def _version(go_mod: str, module: str) -> str:
    match = re.search(rf"^\s*{re.escape(module)} (v\S+)", go_mod, re.MULTILINE)
    if not match:
        raise HelmError(f"go.mod does not name {module}")
    return match[1]
