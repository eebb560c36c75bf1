"""Takes out of a virtual environment what an image has no use for. Runs while an image is built, so it imports nothing.

Commands:
    packages SITE: tests and headers of the packages, and parts of them that we never load.
    rooms SITE ROOM...: rooms of Rekindle other than these, and the commands that belong to them.
"""

import configparser
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

_FOLDERS = ("tests", "test", "include")
_SUFFIXES = (".a", ".c", ".h", ".pxd", ".pyx")
_AWS_SERVICES = ("s3", "sts", "rds", "sso", "sso-oidc")
"""What S3, tokens of RDS, and credentials of roles are described by; 31 MB describe the rest of AWS."""
_NEVER_LOADED = (
    "kubernetes/client/api/[!_]*",
    "kubernetes/client/models/[!_]*",
    "kubernetes/client/*/__pycache__",
    "kubernetes/aio/client/models/__pycache__",
    "cv2/data",
    "imageio",
    "networkx",
    "numpy/_core/tests/[!_]*",
    "scipy/cluster",
    "scipy/datasets",
    "scipy/io",
    "scipy/stats",
    "skimage/data/*.jpg",
    "skimage/data/*.np?",
    "skimage/data/*.png",
)
"""The client without asyncio; models that are loaded one by one, so hardly any; cascades, graphs, sample pictures, and
what of NumPy, SciPy and scikit-image only others than the worker use."""


def prune_packages(site: Path) -> None:
    """Delete what packages carry for their own development. `numpy._core` imports its tests' helper."""
    for folder in sorted(site.rglob("*"), reverse=True):
        if (
            folder.is_dir()
            and folder.name in _FOLDERS
            and "_core" not in folder.parts
            and "testing" not in folder.parts
        ):
            shutil.rmtree(folder)
    for file in site.rglob("*"):
        if file.suffix in _SUFFIXES and file.is_file():
            file.unlink()
    for part in (found for pattern in _NEVER_LOADED for found in site.glob(pattern)):
        shutil.rmtree(part) if part.is_dir() else part.unlink()
    for service in site.glob("botocore/data/*/"):
        if service.name not in _AWS_SERVICES:
            shutil.rmtree(service)


def keep_rooms(site: Path, rooms: Sequence[str]) -> None:
    """Delete the packages `rekindle_*` that are not among `rooms`, and the commands whose package is gone.

    Raises:
        FileNotFoundError: if a room or Rekindle's own metadata is not there.
    """
    missing = [room for room in rooms if not (site / room).is_dir()]
    if missing:
        raise FileNotFoundError(f"not installed: {', '.join(missing)}")
    for package in site.glob("rekindle_*"):
        if package.is_dir() and package.name not in rooms:
            shutil.rmtree(package)
    commands = configparser.ConfigParser()
    commands.read_string(next(site.glob("rekindle-*.dist-info/entry_points.txt")).read_text())
    scripts = site.parents[2] / "bin"
    for command, target in commands["console_scripts"].items():
        if target.partition(".")[0] not in rooms:
            (scripts / command).unlink(missing_ok=True)


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments say; return the exit status."""
    match list(arguments):
        case ["packages", site]:
            prune_packages(Path(site).resolve())
        case ["rooms", site, *rooms]:
            keep_rooms(Path(site).resolve(), [*rooms, "rekindle_crds"])
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
