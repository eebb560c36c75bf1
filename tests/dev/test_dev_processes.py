"""How children start, complain and end."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rekindle_dev import guard, reaper
from rekindle_dev.ports import free_ports, is_free, on_free_ports
from rekindle_dev.processes import Child, PartError, PortTakenError, Program

if TYPE_CHECKING:
    from tests.conftest import Eventually
    from tests.dev.conftest import Marked, RunScript

StartShell = Callable[..., Child]


@pytest.fixture
def start_shell(tmp_path: Path) -> Iterator[StartShell]:
    children: list[Child] = []

    def start(script: str, *, grace_seconds: float = 10.0) -> Child:
        program = Program("the part", ("sh", "-c", script), grace_seconds=grace_seconds)
        children.append(Child.start(program, tmp_path / "part.log", directory=tmp_path))
        return children[-1]

    yield start
    for child in children:
        child.kill()


def test_a_part_that_fails_shows_its_last_log_lines(start_shell: StartShell) -> None:
    child = start_shell("echo loading; echo cannot open the database >&2; exit 3")
    with pytest.raises(PartError, match=r"the part ended with exit code 3\.(.|\n)*cannot open the database"):
        child.wait_until(lambda: False, seconds=30)


def test_a_part_that_is_never_ready_says_what_the_probe_met(start_shell: StartShell) -> None:
    def probe() -> bool:
        raise ConnectionRefusedError("nobody listens")

    child = start_shell("echo still loading; sleep 600")
    child.wait_until(lambda: "still loading" in child.tail(), seconds=30)
    with pytest.raises(PartError, match=r"ConnectionRefusedError: nobody listens(.|\n)*still loading"):
        child.wait_until(probe, seconds=1)


def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    child = Child.start(Program("the part", ("/no/such/program",)), tmp_path / "log")
    with pytest.raises(PartError, match=r"/no/such/program: No such file or directory"):
        child.wait(seconds=30)


def test_the_log_of_an_earlier_start_is_not_taken_for_this_one(start_shell: StartShell) -> None:
    with pytest.raises(PortTakenError):
        start_shell("echo bind: address already in use; exit 1").wait(seconds=30)
    child = start_shell("echo another reason; exit 1")
    with pytest.raises(PartError, match="another reason") as raised:
        child.wait(seconds=30)
    assert not isinstance(raised.value, PortTakenError)


def test_a_part_that_ignores_the_polite_signal_is_killed(start_shell: StartShell, eventually: "Eventually") -> None:
    child = start_shell("trap '' TERM; echo ready; while :; do sleep 0.1; done", grace_seconds=0.2)
    eventually(lambda: "ready" in child.tail())
    child.stop()
    assert child.exit_code == -signal.SIGKILL


def test_a_child_outlives_the_thread_that_asked_for_it(start_shell: StartShell) -> None:
    started: list[Child] = []
    thread = threading.Thread(target=lambda: started.append(start_shell("echo alive; sleep 600")))
    thread.start()
    thread.join()
    started[0].wait_until(lambda: "alive" in started[0].tail(), seconds=30)
    assert started[0].exit_code is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV])
def test_nothing_is_left_when_the_parent_is_ended_by(
    number: signal.Signals,
    tmp_path: Path,
    run_script: "RunScript",
    processes_of: "Marked",
    eventually: "Eventually",
) -> None:
    parent = run_script(f"""
import sys, time
from pathlib import Path
from rekindle_dev.processes import Child, Program
folder = Path({str(tmp_path)!r})
script = "trap '' TERM INT HUP; sleep 601 & (sleep 602 & wait) & wait"
Child.start(Program("part", ("sh", "-c", script)), folder / "log", directory=folder)
print("started", flush=True)
time.sleep(600)
""")
    assert parent.stdout is not None
    assert parent.stdout.readline() == "started\n"
    eventually(lambda: len(processes_of(tmp_path)) >= 4)
    parent.send_signal(number)
    parent.wait(30)
    eventually(lambda: not processes_of(tmp_path), seconds=20)


def test_a_group_that_ended_is_left_alone_by_the_reaper(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        book = f"+{bystander.pid}\n-{bystander.pid}\n"
        subprocess.run([sys.executable, reaper.__file__], input=book, text=True, check=True, timeout=30, cwd=tmp_path)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_port_that_is_taken_meanwhile_is_replaced(start_shell: StartShell) -> None:
    tried: list[int] = []

    def start(ports: list[int]) -> int:
        tried.extend(ports)
        if len(tried) == 1:
            start_shell("echo listen tcp 127.0.0.1: bind: address already in use; exit 1").wait(seconds=30)
        return ports[0]

    chosen = on_free_ports(1, start)
    assert len(tried) == 2
    assert chosen == tried[1]


def test_ports_in_use_are_not_offered() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert not is_free(taken.getsockname()[1])
    ports = free_ports(50)
    assert len(set(ports)) == 50
    assert all(is_free(port) for port in ports)


def test_a_program_that_refuses_root_runs_as_an_ordinary_user_and_passes_closed_folders(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "secret").write_text("seen")
    program = Program("reader", ("sh", "-c", f"id -u; cat {closed}/secret"), unprivileged=True)
    child = Child.start(program, tmp_path / "log")
    child.wait(seconds=30)
    assert child.tail() == f"{os.geteuid() or guard.NOBODY}\nseen"
