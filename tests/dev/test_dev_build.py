"""The cache of built Go programs, with small real builds."""

import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rekindle_dev.controlplane.build import BuildError, BuildProgress, GoProgram, built, cache_directory
from rekindle_dev.controlplane.programs import COMPONENTS, PlainReport, describe, find_programs, go_program
from rekindle_dev.controlplane.toolchain import Toolchain, ToolchainError, find_toolchain

if TYPE_CHECKING:
    from tests.conftest import Eventually
    from tests.dev.conftest import Marked, RunScript

MakeGo = Callable[[str], Toolchain]
HELLO = 'package main\n\nimport "os"\n\nfunc main() { os.Stdout.WriteString("hello\\n") }\n'


@pytest.fixture
def hello(tmp_path: Path) -> GoProgram:
    """A Go program that says hello."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "main.go").write_text(HELLO)
    (source / "go.mod").write_text("module example.com/hello\n\ngo 1.21\n")
    return GoProgram("hello", source)


@pytest.fixture
def make_go(tmp_path: Path) -> MakeGo:
    """Wrap the real Go: a shell script does something first, with $output as the path of what is built."""

    def make(script: str) -> Toolchain:
        real = find_toolchain((1, 21))
        wrapper = tmp_path / "go"
        find_output = 'output=; for word in "$@"; do [ "$last" = -o ] && output=$word; last=$word; done'
        wrapper.write_text(f'#!/bin/sh\n{find_output}\n{script}\nexec {real.command} "$@"\n')
        wrapper.chmod(0o755)
        return Toolchain(wrapper, real.version, real.environment)

    return make


def _ignore(_: BuildProgress) -> None:
    pass


def _run(binary: Path) -> str:
    return subprocess.run([binary], capture_output=True, text=True, check=True, timeout=30).stdout


def test_racing_builds_make_one_build_and_share_it(hello: GoProgram, make_go: MakeGo, tmp_path: Path) -> None:
    go = make_go(f"echo build >> {tmp_path}/builds")
    results: list[Path] = []
    seen: list[BuildProgress] = []
    threads = [
        threading.Thread(target=lambda: results.append(built(hello, tmp_path / "cache", seen.append, toolchain=go)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 1
    assert _run(results[0]) == "hello\n"
    assert (tmp_path / "builds").read_text() == "build\n"
    assert "waiting for another build" in {progress.stage for progress in seen}


def test_a_killed_build_leaves_nothing_bad(
    hello: GoProgram,
    make_go: MakeGo,
    tmp_path: Path,
    run_script: "RunScript",
    processes_of: "Marked",
    eventually: "Eventually",
) -> None:
    go = make_go(f'printf half > "$output"; touch {tmp_path}/half-way; sleep 600')
    builder = run_script(f"""
from pathlib import Path
from rekindle_dev.controlplane.build import GoProgram, built
from rekindle_dev.controlplane.toolchain import Toolchain
program = GoProgram("hello", Path({str(hello.source)!r}))
go = Toolchain(Path({str(go.command)!r}), "", {{}})
built(program, Path({str(tmp_path / "cache")!r}), lambda _: None, toolchain=go)
""")
    eventually((tmp_path / "half-way").exists)
    folder = tmp_path / "cache" / "hello" / hello.digest
    assert not (folder / "hello").exists()
    builder.kill()
    builder.wait(30)
    eventually(lambda: not processes_of(tmp_path))

    assert _run(built(hello, tmp_path / "cache", _ignore)) == "hello\n"
    assert sorted(path.name for path in folder.iterdir()) == ["hello", "lock"]


def test_a_build_that_fails_shows_what_the_compiler_said(hello: GoProgram, tmp_path: Path) -> None:
    (hello.source / "main.go").write_text("package main\n\nfunc main() { undefined() }\n")
    with pytest.raises(BuildError, match=r"undefined: undefined"):
        built(hello, tmp_path / "cache", _ignore)
    assert [path.name for path in (tmp_path / "cache" / "hello" / hello.digest).iterdir()] == ["lock"]


def test_a_program_that_does_not_run_is_not_kept(hello: GoProgram, make_go: MakeGo, tmp_path: Path) -> None:
    go = make_go('printf garbage > "$output"; exit 0')
    with pytest.raises(BuildError, match="does not run"):
        built(hello, tmp_path / "cache", _ignore, toolchain=go)


def test_another_source_is_another_build(hello: GoProgram, tmp_path: Path) -> None:
    first = built(hello, tmp_path / "cache", _ignore)
    (hello.source / "main.go").write_text(HELLO.replace("hello", "good day"))
    second = built(hello, tmp_path / "cache", _ignore)
    assert (_run(first), _run(second)) == ("hello\n", "good day\n")


@pytest.mark.slow
def test_go_comes_from_the_package_when_there_is_none_on_the_path(
    hello: GoProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    toolchain = find_toolchain((1, 26))
    assert toolchain.environment["GOROOT"] in str(toolchain.command)
    assert _run(built(hello, tmp_path / "cache", _ignore, toolchain=toolchain)) == "hello\n"


def test_a_go_that_is_too_old_is_named_with_the_ways_out() -> None:
    with pytest.raises(ToolchainError, match=r"needs Go 99\.0 or newer .* is go1\..*KUBEBUILDER_ASSETS"):
        find_toolchain((99, 0))


def test_the_cache_is_where_the_user_wants_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "rekindle"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_directory() == Path.home() / ".cache" / "rekindle"


def test_progress_is_told_in_one_line() -> None:
    progress = BuildProgress("compiling", 75.4, modules=62, packages=412)
    assert describe(progress) == "compiling 1:15, 62 modules downloaded, 412 packages compiled"


def test_progress_without_a_screen_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    report = PlainReport()
    for second in range(5):
        report(BuildProgress("compiling", second))
    assert capsys.readouterr().err == "Kubernetes control plane: compiling 0:00\n"


@pytest.mark.stack
def test_programs_that_the_users_folder_lacks_are_built(tmp_path: Path) -> None:
    for name in ("etcd", "kube-apiserver"):
        shutil.copy("/bin/true", tmp_path / name)
    said: list[str] = []
    programs = find_programs(_ignore, say=said.append, assets=str(tmp_path))
    assert programs["etcd"] == (str(tmp_path / "etcd"),)
    assert programs["kube-scheduler"][1:] == ("kube-scheduler",)
    assert "has no kube-controller-manager, kube-scheduler" in said[0]
    assert programs.keys() == set(COMPONENTS)


def test_a_folder_with_every_program_needs_no_build(tmp_path: Path) -> None:
    for name in COMPONENTS:
        shutil.copy("/bin/true", tmp_path / name)
    programs = find_programs(_ignore, say=pytest.fail, assets=str(tmp_path), cache=tmp_path / "cache")
    assert programs == {name: (str(tmp_path / name),) for name in COMPONENTS}
    assert not (tmp_path / "cache").exists()


def test_the_version_is_that_of_the_source() -> None:
    assert "version.gitVersion=v1." in go_program().linker_flags
