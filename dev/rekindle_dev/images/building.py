"""Builds the targets of the Dockerfile with docker or buildah, on a base that need not be pulled."""

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rekindle_dev.processes import PartError

TARGETS = ("api", "operator", "worker", "dev")
LIVE = ("api-live", "operator-live")
"""Targets for `skaffold dev`: programs that start again when a file of theirs changes."""
LOCAL_BASE = "localhost/python:3.11"
"""Debian's own Python, made by debootstrap where no registry can be reached."""
# What a build may use of this machine to reach package registries, and must not keep.
_LENT = ("/etc/ssl/certs", "/etc/pip.conf")
_DEBIAN = ("python3", "python3-venv", "python3-pip", "ca-certificates")


def image_name(target: str, tag: str) -> str:
    """Return what an image is called where no registry is named, as the chart calls it."""
    return f"localhost/rekindle-{target}:{tag}"


def build(target: str, *, source: Path, base: str | None = None, tag: str = "dev", archive: Path | None = None) -> str:
    """Build one target and return the name of the image.

    Args:
        target: one of TARGETS or LIVE.
        source: the checkout.
        base: the base image; the Dockerfile's own when left out.
        tag: of the image.
        archive: where to write the image as an archive that container runtimes load.

    Raises:
        PartError: if there is neither docker nor buildah, or the build fails; with its last lines.
    """
    name = image_name(target, tag)
    arguments = ["--target", target, "--tag", name, "--file", str(source / "Dockerfile")]
    if base:
        arguments += ["--build-arg", f"BASE={base}"]
    arguments += ["--build-arg", f"VERSION={tag}"]
    if _uses_buildah():
        lent = [word for path in _LENT if Path(path).exists() for word in ("--volume", f"{path}:{path}:ro")]
        pull = ["--pull-never"] if base and base.startswith("localhost/") else []
        _run(
            "buildah",
            "build",
            "--isolation=chroot",
            "--network=host",
            "--layers",
            *pull,
            *lent,
            *arguments,
            str(source),
        )
        if archive:
            archive.unlink(missing_ok=True)
            _run("buildah", "push", "--quiet", name, f"docker-archive:{archive}:{name}")
    else:
        _run("docker", "build", *arguments, str(source))
        if archive:
            _run("docker", "save", "--output", str(archive), name)
    return name


def make_base(directory: Path, *, release: str = "bookworm") -> str:
    """Make LOCAL_BASE by debootstrap, unless it is there, and return its name. Needs root and buildah.

    Args:
        directory: for Debian's files while they are packed.
        release: of Debian; its Python has to be 3.11 or newer.

    Raises:
        PartError: if a program is missing or fails.
    """
    if (
        subprocess.run(["buildah", "inspect", "--type=image", LOCAL_BASE], capture_output=True, check=False).returncode
        == 0
    ):
        return LOCAL_BASE
    root = directory / "python"
    shutil.rmtree(root, ignore_errors=True)
    _run("debootstrap", "--variant=minbase", f"--include={','.join(_DEBIAN)}", release, str(root))
    shutil.rmtree(root / "var/cache/apt/archives", ignore_errors=True)
    container = _run("buildah", "from", "scratch").strip()
    try:
        _run("buildah", "add", "--quiet", container, str(root), "/")
        _run("buildah", "config", "--cmd", "python3", container)
        _run("buildah", "commit", "--quiet", container, LOCAL_BASE)
    finally:
        _run("buildah", "rm", container)
        shutil.rmtree(root, ignore_errors=True)
    return LOCAL_BASE


@contextmanager
def contents(image: str) -> Iterator[Path]:
    """Lend the file system of an image as a folder, to be read.

    Raises:
        PartError: if there is no such image.
    """
    if _uses_buildah():
        container = _run("buildah", "from", "--pull-never", image).strip()
        try:
            yield Path(_run("buildah", "mount", container).strip())
        finally:
            _run("buildah", "rm", container)
        return
    container = _run("docker", "create", image).strip()
    try:
        with tempfile.TemporaryDirectory() as folder:
            _run("docker", "export", "--output", f"{folder}/image.tar", container)
            with tarfile.open(f"{folder}/image.tar") as tar:
                tar.extractall(f"{folder}/image", filter="tar")
            yield Path(folder, "image")
    finally:
        _run("docker", "rm", container)


def size_bytes(image: str) -> int:
    """Return how many bytes the files of an image have.

    Raises:
        PartError: if there is no such image.
    """
    with contents(image) as root:
        return sum(Path(folder, name).lstat().st_size for folder, _, names in os.walk(root) for name in names)


def _uses_buildah() -> bool:
    if shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0:
        return False
    if shutil.which("buildah"):
        return True
    raise PartError(
        "Building images needs docker (running) or buildah: apt-get install --no-install-recommends buildah"
    )


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise PartError(f"{command[0]} is missing: apt-get install --no-install-recommends {command[0]}") from None
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise PartError(f"{' '.join(command[:3])} failed:\n{last}")
    return done.stdout
