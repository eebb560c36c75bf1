"""skaffold.yaml against what it names: targets of the Dockerfile, values and Services of the chart, the source."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.charts.rendered import CHART, OWN, Json, Release, merged, render

ROOT = CHART.parents[1]
FILE: Json = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
PIPELINES: dict[str, Json] = {"dev": FILE} | {each["name"]: each for each in FILE["profiles"]}
DIGEST = f"sha256:{64 * '0'}"
REFERENCE = re.compile(r"\{\{\.IMAGE_(REPO|TAG|DIGEST)_(\w+)\}\}")


def _release(pipeline: Json) -> Json:
    (found,) = (each for each in pipeline["deploy"]["helm"]["releases"] if each["name"] == "rekindle")
    return dict(found)


def _rendered(pipeline: Json) -> Release:
    """What the pipeline installs, with images by their names in skaffold.yaml."""
    release = _release(pipeline)
    # Where one's own values name a registry, too.
    values: Json = {"image": {"registry": "registry.example.com/rekindle"}} if "setValues" in release else {}
    for key, value in release.get("setValues", {}).items():
        values = merged(values, _nested(key, value))
    for key, template in release["setValueTemplates"].items():
        what, image = REFERENCE.fullmatch(template).groups()  # type: ignore[union-attr]
        value = {"REPO": image.replace("_", "-"), "TAG": "built", "DIGEST": DIGEST}[what]
        values = merged(values, _nested(key, value))
    file = Path(release["valuesFiles"][0]).name
    return render(file, values if file == "values-dev.yaml" else merged(OWN, values))


def _nested(key: str, value: str) -> Json:
    """What `--set key=value` means."""
    first, _, rest = key.partition(".")
    return {first: _nested(rest, value) if rest else value}


def _images(release: Release) -> Iterator[str]:
    yield from (container["image"] for pod in release.pods() for container in pod.containers)
    yield from (engine["spec"]["image"] for engine in release.of("Engine"))


def _matched(pattern: str) -> set[Path]:
    """The files that a pattern of skaffold's matches."""
    braces = re.search(r"\{(.*)\}", pattern)
    choices = braces[1].split(",") if braces else [""]
    each = [pattern.replace(braces[0], choice) if braces else pattern for choice in choices]
    return {file for one in each for file in ROOT.glob(one.replace("[^", "[!"))}


def _copied(artifact: Json, below: str) -> set[Path]:
    rules = artifact.get("sync", {}).get("manual", [])
    return {file for rule in rules if rule["dest"] == below for file in _matched(rule["src"])}


def _sources(*folders: str) -> set[Path]:
    return {file for folder in folders for file in (ROOT / folder).rglob("*.py")}


@pytest.mark.parametrize("name", PIPELINES)
def test_what_is_built_is_what_is_installed(name: str) -> None:
    artifacts = {artifact["image"] for artifact in PIPELINES[name]["build"]["artifacts"]}
    written = {"dev": ":built"}.get(name, f"@{DIGEST}")
    assert set(_images(_rendered(PIPELINES[name]))) == {image + written for image in artifacts}


@pytest.mark.parametrize("name", PIPELINES)
def test_every_target_is_one_of_the_dockerfile(name: str) -> None:
    targets = set(re.findall(r"^FROM .* AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert {artifact["docker"]["target"] for artifact in PIPELINES[name]["build"]["artifacts"]} <= targets


@pytest.mark.parametrize("name", PIPELINES)
def test_the_custom_resources_are_installed_first(name: str) -> None:
    first, second = PIPELINES[name]["deploy"]["helm"]["releases"]
    assert (first["chartPath"], second["dependsOn"]) == ("charts/rekindle-crds", [first["name"]])
    assert (ROOT / first["chartPath"] / "Chart.yaml").is_file()


def test_each_environment_has_a_namespace_of_its_own() -> None:
    assert len({_release(pipeline)["namespace"] for pipeline in PIPELINES.values()}) == len(PIPELINES)


def test_ports_are_forwarded_to_services_that_have_them() -> None:
    services = {each["metadata"]["name"]: each["spec"]["ports"] for each in _rendered(FILE).of("Service")}
    for forward in FILE["portForward"]:
        assert forward["namespace"] == _release(FILE)["namespace"]
        assert forward["port"] in [port["port"] for port in services[forward["resourceName"]]]


@pytest.mark.parametrize(
    ("image", "own", "others"),
    [
        ("rekindle-api", ["api", "crds"], ["operator"]),
        (
            "rekindle-operator",
            ["operator/rekindle_operator", "crds"],
            ["api", "operator/rekindle_worker", "operator/rekindle_kubectl"],
        ),
        ("rekindle-dev", [], ["api", "crds", "operator"]),
    ],
)
def test_changes_are_copied_and_build_nothing_anew(image: str, own: list[str], others: list[str]) -> None:
    (artifact,) = (each for each in FILE["build"]["artifacts"] if each["image"] == image)
    assert _copied(artifact, "/tmp/live") == _sources(*own) - _sources("api/rekindle_api/migrations")
    assert _copied(artifact, "/tmp/other") == _sources(*others)
