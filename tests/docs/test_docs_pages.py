"""The pages for those who install and operate: what they tell to copy is well formed, and what they name exists."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rekindle_crds import Engine
from rekindle_dev import helm

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
GUIDES = [ROOT / "docs/install.md", ROOT / "docs/operations.md"]
CHART = ROOT / "charts/rekindle"
STAGING = {
    "ACCOUNT": "123456789012",
    "API_HOST": "api-staging.example.com",
    "APP_ORIGIN": "https://staging.example.com",
    "AWS_REGION": "eu-central-1",
    "BUCKET": "example-rekindle-staging",
    "DB_HOST": "db.example.com",
    "NAMESPACE": "rekindle-staging",
    "OIDC": "oidc.eks.eu-central-1.amazonaws.com/id/ABCDEF",
    "OWNER_PASSWORD": "0f" * 24,
    "REGISTRY": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/rekindle",
    "SERVICE_PASSWORD": "f0" * 24,
    "SUPABASE_URL": "https://abcdefghijklmnop.supabase.co",
    "SUPABASE_WEBHOOK_SECRET": "0f" * 32,
    "TAG": "1e23456",
    "component": "api",
}
"""What a reader of install.md has in the shell."""
_BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"^ *cat > (\S+) <<(\w+)\n(.*?)^\2$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
_FLAG = re.compile(r"`(\w+(?:\.\w+)+)(?::[^`]*)?`")


def blocks(page: Path, language: str) -> Iterator[str]:
    return (text for name, text in _BLOCK.findall(page.read_text("utf-8")) if name == language)


def files_of(page: Path) -> dict[str, str]:
    """The files that a page tells to write, as a shell writes them."""
    return {name: in_shell(f"cat <<{tag}\n{text}{tag}\n") for name, tag, text in _FILE.findall(page.read_text("utf-8"))}


def in_shell(script: str) -> str:
    done = subprocess.run(
        ["bash", "-eu"], input=script, env={**os.environ, **STAGING}, capture_output=True, text=True, check=True
    )
    return done.stdout


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    for name, anchor in _LINK.findall(re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)):
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), name
        if anchor:
            assert anchor in anchors(target), f"{name}#{anchor}"


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_what_is_to_be_copied_is_well_formed(page: Path) -> None:
    for text in blocks(page, "json"):
        json.loads(text)
    for text in blocks(page, "yaml"):
        yaml.safe_load(text)
    for text in blocks(page, "sh"):
        plain = re.sub(r"<(?!<|\()([\w ]+)>", "placeholder", text)
        subprocess.run(["bash", "-n"], input=plain, text=True, check=True)


def test_every_policy_of_aws_is_json_and_names_one_bucket() -> None:
    written = {name: text for name, text in files_of(GUIDES[0]).items() if name.endswith(".json")}

    assert {"api.json", "bridge.json", "sweep.json", "worker.json", "bucket-policy.json"} <= set(written)
    for name, text in written.items():
        policy = json.loads(text)
        for statement in policy.get("Statement", []):
            resources = statement.get("Resource", [])
            for resource in [resources] if isinstance(resources, str) else resources:
                assert resource.startswith(f"arn:aws:s3:::{STAGING['BUCKET']}"), name
            assert statement["Effect"] == "Deny" or statement["Action"] != "s3:*", name


def test_the_values_of_the_guide_render_staging_and_name_what_it_says() -> None:
    release = rendered(files_of(GUIDES[0])["staging.yaml"])
    names = {(each["kind"].lower(), each["metadata"]["name"]) for each in release}
    told = set(re.findall(r"\b(deploy|cronjob|serviceaccount)[/ ](rekindle-[a-z]+)", "\n".join(map(read, GUIDES))))

    assert told
    assert {({"deploy": "deployment"}.get(kind, kind), name) for kind, name in told} <= names
    assert {("serviceaccount", f"rekindle-{part}") for part in ("api", "bridge", "sweep", "worker")} <= names


@pytest.mark.parametrize("text", list(blocks(GUIDES[0], "yaml")), ids=["stripe", "nginx"])
def test_further_values_of_the_guide_render_too(text: str) -> None:
    assert rendered(files_of(GUIDES[0])["staging.yaml"], text)


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_every_value_that_is_named_exists(page: Path) -> None:
    values = yaml.safe_load(read(CHART / "values.yaml"))
    named = {path for path in _FLAG.findall(read(page)) if path.partition(".")[0] in values}

    assert named
    for path in named:
        place: Any = values
        for part in path.split("."):
            assert part in place, path
            place = place[part]


def test_the_engine_of_the_guide_is_one() -> None:
    (engine,) = (each for each in map(yaml.safe_load, blocks(GUIDES[1], "yaml")) if each["kind"] == "Engine")

    assert Engine.model_validate({**engine, "metadata": {**engine["metadata"], "namespace": "staging", "uid": "1"}})


def rendered(*values: str) -> list[Any]:
    """What the chart makes of values for staging, and of those of a reader."""
    with_files = [f"--values={CHART / 'values-staging.yaml'}"]
    both: dict[str, Any] = {}
    for text in values:
        both |= yaml.safe_load(text)
    done = helm.run(
        "template", "rekindle", CHART, "--namespace=rekindle-staging", *with_files, "--values=-", stdin=json.dumps(both)
    )
    return [each for each in yaml.safe_load_all(done) if each]


def read(page: Path) -> str:
    return page.read_text("utf-8")
