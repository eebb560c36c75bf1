"""What goes into images and what is left out; the images themselves are built and run by `make e2e`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rekindle_dev.images import prune
from rekindle_dev.images.bill import bill_of
from rekindle_dev.images.building import LIVE, TARGETS, build, image_name
from rekindle_dev.processes import PartError

ROOT = Path(__file__).parents[2]
DPKG = """Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0
"""


def _file(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The packages of an environment with two rooms of Rekindle and their commands."""
    site = tmp_path / "lib/python3.12/site-packages"
    for room in ("rekindle_api", "rekindle_operator", "rekindle_crds", "rekindle_dev"):
        _file(site / room / "__init__.py")
    commands = "rekindle-api = rekindle_api.cli:main\nrekindle-operator = rekindle_operator.cli:main\n"
    _file(site / "rekindle-0.1.0.dist-info/entry_points.txt", f"[console_scripts]\n{commands}")
    for command in ("rekindle-api", "rekindle-operator", "uvicorn"):
        _file(tmp_path / "bin" / command)
    return site


def test_an_image_keeps_the_rooms_and_commands_of_its_program(site: Path, tmp_path: Path) -> None:
    assert prune.main(["rooms", str(site), "rekindle_api"]) == 0
    assert {path.name for path in site.glob("rekindle_*")} == {"rekindle_api", "rekindle_crds"}
    assert {path.name for path in (tmp_path / "bin").iterdir()} == {"rekindle-api", "uvicorn"}


def test_a_room_that_is_not_there_ends_the_build(site: Path) -> None:
    with pytest.raises(FileNotFoundError, match="rekindle_worker"):
        prune.main(["rooms", str(site), "rekindle_worker"])


def test_tests_headers_and_other_services_of_aws_are_left_out(site: Path) -> None:
    kept = [
        _file(site / "package/module.py"),
        _file(site / "numpy/_core/tests/_natype.py"),
        _file(site / "scipy/ndimage/__init__.py"),
        _file(site / "botocore/data/s3/service-2.json"),
        _file(site / "botocore/data/endpoints.json"),
        _file(site / "kubernetes/client/models/__init__.py"),
    ]
    gone = [
        _file(site / "package/tests/test_module.py"),
        _file(site / "package/include/package.h"),
        _file(site / "package/fast.pyx"),
        _file(site / "numpy/_core/tests/test_dtype.py"),
        _file(site / "scipy/stats/__init__.py"),
        _file(site / "botocore/data/ec2/service-2.json"),
        _file(site / "kubernetes/client/models/v1_pod.py"),
    ]
    assert prune.main(["packages", str(site)]) == 0
    assert [path for path in kept if not path.exists()] == []
    assert [path for path in gone if path.exists()] == []


def test_prune_runs_where_nothing_is_installed() -> None:
    bare = subprocess.run([sys.executable, "-I", "-S", prune.__file__], capture_output=True, text=True, check=False)
    assert (bare.returncode, "packages SITE" in bare.stderr) == (2, True)


def test_a_bill_of_materials_has_what_is_installed_and_its_licence(tmp_path: Path) -> None:
    _file(tmp_path / "var/lib/dpkg/status", DPKG)
    packages = tmp_path / "opt/rekindle/lib/python3.12/site-packages"
    about = "Metadata-Version: 2.4\nName: Typing_Extensions\nVersion: 4.1\nLicense-Expression: PSF-2.0\n"
    _file(packages / "typing_extensions-4.1.dist-info/METADATA", about)
    bill = bill_of(tmp_path, "localhost/rekindle-api:1")
    assert [component["purl"] for component in bill["components"]] == [
        "pkg:deb/debian/libc6@2.36-9?arch=amd64",
        "pkg:pypi/typing-extensions@4.1",
    ]
    assert bill["components"][1]["licenses"] == [{"expression": "PSF-2.0"}]
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill == bill_of(tmp_path, "localhost/rekindle-api:1")


@pytest.fixture
def builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose only builder is a buildah that writes down what it is asked, and fails for the worker."""
    script = f'echo "$@" >> {tmp_path}/asked\ncase "$*" in *"--target worker"*) echo no space left; exit 1;; esac\n'
    program = _file(tmp_path / "bin/buildah", f"#!/bin/sh\n{script}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=None)
    return tmp_path / "asked"


def test_the_base_of_an_image_can_be_chosen_and_is_not_pulled_when_it_is_local(builder: Path) -> None:
    name = build("api", source=ROOT, base="localhost/python:3.11", tag="7")
    assert name == image_name("api", "7") == "localhost/rekindle-api:7"
    asked = builder.read_text()
    assert "--build-arg BASE=localhost/python:3.11" in asked
    assert "--pull-never" in asked


@pytest.mark.usefixtures("builder")
def test_a_build_that_fails_shows_its_last_words() -> None:
    with pytest.raises(PartError, match="no space left"):
        build("worker", source=ROOT)


def test_a_machine_without_a_builder_is_told_what_to_install(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rekindle_dev.images", "api"]
    answer = subprocess.run(
        command, env={**os.environ, "PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 1
    assert "docker" in answer.stderr
    assert "apt-get install" in answer.stderr


def test_every_target_stands_in_the_dockerfile() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    stages = {line.split()[-1] for line in lines if line.startswith("FROM ")}
    assert {*TARGETS, *LIVE} <= stages
