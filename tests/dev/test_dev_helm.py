"""Helm as the project builds it: its versions, what it sees of the user's own helm, and how it fails."""

import re
from pathlib import Path

import pytest

from rekindle_dev import helm
from rekindle_dev.helm.binary import go_program


def test_helm_is_of_the_version_that_its_go_mod_names() -> None:
    required = re.search(r"helm\.sh/helm/v3 (v\S+)", (go_program().source / "go.mod").read_text())
    assert required is not None
    assert helm.run("version", "--template={{.Version}}") == required[1]


def test_two_calls_take_the_same_build() -> None:
    assert helm.helm_binary() == helm.helm_binary()


def test_charts_are_rendered_for_a_kubernetes_of_today(tmp_path: Path) -> None:
    helm.run("create", "shop", directory=tmp_path)
    template = tmp_path / "shop/templates/version.yaml"
    template.write_text("minor: {{ .Capabilities.KubeVersion.Minor }}\n")
    rendered = helm.run("template", "shop", "shop", "--show-only=templates/version.yaml", directory=tmp_path)
    minor = re.search(r"minor: (\d+)", rendered)
    assert minor is not None
    assert int(minor[1]) >= 36


def test_a_command_that_fails_says_what_helm_said(tmp_path: Path) -> None:
    with pytest.raises(helm.HelmError, match=r"helm template shop nowhere failed:\n.*nowhere"):
        helm.run("template", "shop", "nowhere", directory=tmp_path)


def test_the_users_own_settings_of_helm_and_kubectl_have_no_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HELM_NAMESPACE", "theirs")
    monkeypatch.setenv("HELM_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "production"))
    settings = helm.run("env")
    assert "theirs" not in settings
    assert str(tmp_path) not in settings
    with pytest.raises(helm.HelmError, match="cluster unreachable"):
        helm.run("list")
