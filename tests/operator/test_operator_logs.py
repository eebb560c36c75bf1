"""The log as others read it: what the process writes to its standard error."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

HEAD = {"time", "level", "logger", "message"}
NAMES = {"kind", "namespace", "name", "uid"}


def run_logging(code: str) -> list[dict[str, Any]]:
    """Run code in a process whose log is configured as the operator's, and return the lines of its standard error."""
    program = (
        f"import logging, threading, warnings\nfrom rekindle_operator import jsonlog\njsonlog.configure('INFO')\n{code}"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    return [json.loads(line) for line in ended.stderr.splitlines()]


def test_an_exception_is_one_line_with_its_traceback():
    [line] = run_logging(
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    logging.getLogger('a').exception('it failed\\nbadly')"
    )
    assert (line["level"], line["logger"], line["message"]) == ("error", "a", "it failed\nbadly")
    assert line["traceback"].startswith("Traceback")
    assert line["traceback"].endswith("ZeroDivisionError: division by zero")


@pytest.mark.parametrize(
    "code", ["1 / 0", "thread = threading.Thread(target=lambda: 1 / 0)\nthread.start()\nthread.join()"]
)
def test_an_exception_that_nobody_catches_is_one_line_too(code):
    [line] = run_logging(code)
    assert (line["level"], line["message"]) == ("critical", "uncaught exception")
    assert "ZeroDivisionError" in line["traceback"]


def test_what_python_warns_of_is_one_line_too():
    [line] = run_logging("warnings.warn('careful')")
    assert line["level"] == "warning"
    assert "careful" in line["message"]


def test_an_object_that_kopf_speaks_of_is_named_as_in_our_own_lines():
    reference = {"apiVersion": "v1", "kind": "Pod", "namespace": "photos", "name": "p", "uid": "u"}
    extra = f"{{'k8s_ref': {reference}, 'k8s_skip': True, 'settings': object()}}"
    [line] = run_logging(f"logging.getLogger('kopf.objects').warning('odd', extra={extra})")
    assert {name: line[name] for name in NAMES} == {name: reference[name] for name in NAMES}
    assert set(line) == HEAD | NAMES


def test_an_operator_that_cannot_start_says_why_as_json(tmp_path):
    environment = {**os.environ, "KUBECONFIG": str(tmp_path / "absent")}
    command = [sys.executable, "-m", "rekindle_operator", "run"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    *_, line = [json.loads(line) for line in ended.stderr.splitlines()]
    assert (line["level"], line["message"]) == ("critical", "operator cannot run")
    assert "kube-config" in line["error"]


def lines_of(operator: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in operator.log.read_text().splitlines()]


@pytest.mark.stack
@pytest.mark.usefixtures("process_node")
def test_every_line_is_json_and_every_line_about_a_job_names_it(api, stopped_operator):
    stopped_operator.start(log_level="DEBUG")
    api.engine("print=boom", "exit=3")
    job = api.restore(backoffLimit=0)
    api.until_finished()
    assert stopped_operator.stop() == 0
    lines = lines_of(stopped_operator)
    assert all(set(line) >= HEAD for line in lines)
    assert any(line["logger"].startswith("kopf") for line in lines)
    about = [line for line in lines if "uid" in line and line["logger"].startswith("rekindle_operator")]
    assert about
    names = {"kind": "RestoreJob", "namespace": api.namespace, "name": "photo", "uid": job["metadata"]["uid"]}
    assert all({name: line.get(name) for name in NAMES} == names for line in about)


@pytest.mark.stack
@pytest.mark.usefixtures("process_node")
def test_a_job_that_succeeds_costs_a_few_lines_and_kopf_adds_none(api, operator, eventually):
    api.engine("complete")
    api.restore()
    noticed = api.until_noticed("Normal", "Completed")
    eventually(lambda: operator.metric("rekindle_events_posted_total") == len(noticed))
    assert operator.stop() == 0
    lines = lines_of(operator)
    assert {line["logger"].split(".")[0] for line in lines} == {"rekindle_operator"}
    moves = [line["phase"] for line in lines if line["message"] == "job moved"]
    assert moves[-1] == "Succeeded"
    # A slow pod is waited for twice: until it is made, and until it starts.
    assert len(moves) <= 4
    assert {line["level"] for line in lines} == {"info"}


@pytest.mark.stack
def test_the_level_comes_from_the_settings(api, stopped_operator):
    stopped_operator.start(log_level="INFO")
    api.restore()
    api.until_waiting("EngineNotFound")
    stopped_operator.stop()
    assert "info" in {line["level"] for line in lines_of(stopped_operator)}
    assert "debug" not in {line["level"] for line in lines_of(stopped_operator)}
