"""An API server that restarts, refuses, forgets or falls silent: the operator recovers by itself."""

import pytest
from tests.operator.faulty_proxy import watches

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.usefixtures("process_node")]


def of(plural, method="GET"):
    """Asks for requests to one collection, watches apart."""
    return lambda request: request.method == method and request.path.endswith(f"/{plural}") and not watches(request)


def watch_of(plural):
    return lambda request: watches(request) and request.path.endswith(f"/{plural}")


def gap_after_refusal(proxy, status, asked):
    """Seconds from the answer that refused a request to the next one of its kind."""
    visits = [visit for visit in proxy.visits if asked(visit)]
    number = next(number for number, visit in enumerate(visits) if visit.status == status)
    return visits[number + 1].came_at - visits[number].answered_at


def test_a_leader_that_cannot_renew_steps_back_and_goes_on_when_the_api_server_is_there_again(
    api, operators, eventually, control_plane, tmp_path
):
    go = tmp_path / "go"
    operator = operators("only")
    api.engine(f"wait={go}", "complete")
    api.restore("before")
    api.until_running("before")
    control_plane.stop_component("kube-apiserver")
    try:
        go.touch()
        eventually(lambda: operator.said("lease lost") and operator.role() == "standby")
        assert operator.metric("rekindle_leader") == 0
    finally:
        control_plane.start_component("kube-apiserver")
    api.restore("after")
    assert api.until_finished("before", seconds=90)["phase"] == "Succeeded"
    assert api.until_finished("after", seconds=90)["phase"] == "Succeeded"
    eventually(lambda: operator.role() == "leader")
    assert "Traceback" not in operator.log.read_text()


@pytest.mark.parametrize("form", ["in the stream", "as the answer"])
def test_what_was_missed_by_a_watch_that_is_too_old_is_found_by_listing(api, proxy, operators, eventually, form):
    operator = operators("only", kubeconfig=proxy.kubeconfig)
    watched = watch_of("restorejobs")
    # No watch shows the job: the one that runs is broken off, the next ones are refused, then it is too late.
    proxy.refuse(watched, 503, times=2)
    if form == "in the stream":
        proxy.expire(watched)
    else:
        proxy.refuse(watched, 410)
    proxy.end_watches()
    api.engine("complete")
    api.restore()
    assert api.until_finished(seconds=60)["phase"] == "Succeeded"
    statuses = [
        visit.status for visit in proxy.visits if visit.path.endswith("/restorejobs") and "watch" in visit.query
    ]
    assert 503 in statuses
    eventually(lambda: operator.role() == "leader")


def test_a_write_that_is_told_to_wait_waits_as_long_as_it_was_told(api, proxy, operators):
    operators("only", kubeconfig=proxy.kubeconfig)
    proxy.refuse(of("jobs", "POST"), 429, Retry_After="3")
    api.engine("complete")
    api.restore()
    assert api.until_finished(seconds=60)["phase"] == "Succeeded"
    assert gap_after_refusal(proxy, 429, lambda visit: visit.method == "POST" and visit.path.endswith("/jobs")) >= 3


def test_a_read_that_is_told_to_wait_waits_as_long_as_it_was_told(api, proxy, operators, tmp_path):
    def confirms(request):
        return request.method == "GET" and "job-uid" in request.query_string and not watches(request)

    go = tmp_path / "go"
    operators("only", kubeconfig=proxy.kubeconfig)
    api.engine(f"wait={go}", "complete")
    job = api.restore()
    api.until_running()
    proxy.refuse(confirms, 429, Retry_After="3")
    # A child that is gone is looked for before it is made again.
    api.delete("jobs", api.status()["run"]["name"])
    api.until(lambda status: status["run"]["number"] == 2, seconds=60)
    go.touch()
    assert api.until_finished(seconds=60)["phase"] == "Succeeded"
    assert gap_after_refusal(proxy, 429, lambda visit: job["metadata"]["uid"] in visit.query) >= 3


def test_a_wait_that_nobody_would_mean_is_not_believed(api, proxy, operators, eventually):
    operator = operators("only", kubeconfig=proxy.kubeconfig)
    proxy.refuse(of("jobs", "POST"), 429, Retry_After="86400")
    api.engine("complete")
    api.restore()
    [line] = eventually(lambda: [line for line in operator.lines() if line["message"] == "reconcile failed"])
    assert line["retry_in"] == 60


def test_connections_that_fall_silent_are_given_up_for_new_ones(api, proxy, operators, tmp_path):
    go = tmp_path / "go"
    short = {"request_timeout_seconds": "2", "watch_seconds": "5"}
    operator = operators("only", kubeconfig=proxy.kubeconfig, **short)
    api.engine(f"wait={go}", "complete")
    api.restore("before")
    api.until_running("before")
    proxy.go_silent()
    go.touch()
    api.restore("after")
    assert api.until_finished("before", seconds=120)["phase"] == "Succeeded"
    assert api.until_finished("after", seconds=120)["phase"] == "Succeeded"
    assert operator.process.poll() is None
