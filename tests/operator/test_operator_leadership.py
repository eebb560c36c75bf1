"""One operator acts, others stand by: hand-over, crash, and a leader that was paused; on the real API server."""

import asyncio
import signal
from itertools import count

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration
from pydantic import ValidationError

from rekindle_operator.cluster import Cluster, NotLeading
from rekindle_operator.core.leadership import holder, may_take, released, seen, taken
from rekindle_operator.metrics import Metrics
from rekindle_operator.settings import Settings

LEASE = "rekindle-operator"
USUAL_LEASE = {"lease_duration_seconds": "15", "renew_deadline_seconds": "10"}
HELD = {"holderIdentity": "a", "leaseDurationSeconds": 15, "leaseTransitions": 2, "renewTime": "then"}


@pytest.mark.parametrize(
    ("identity", "known_for", "free"),
    [
        ("b", 0.0, False),
        ("b", 14.9, False),
        ("b", 15.0, True),
        ("a", 0.0, True),
    ],
)
def test_a_lease_is_taken_by_its_holder_or_once_it_was_seen_unchanged_for_its_duration(identity, known_for, free):
    first = seen(None, HELD, 100.0)
    again = seen(first, dict(HELD), 100.0 + known_for)
    assert may_take(again, identity, 100.0 + known_for) is free


def test_the_time_of_day_in_a_lease_decides_nothing():
    first = seen(None, {**HELD, "renewTime": "1970-01-01T00:00:00.000000Z"}, 100.0)
    assert not may_take(first, "b", 100.0)


def test_a_renewal_that_is_seen_begins_the_time_anew():
    first = seen(None, HELD, 100.0)
    second = seen(first, {**HELD, "renewTime": "now"}, 114.0)
    assert not may_take(second, "b", 116.0)


def test_a_released_or_new_lease_is_free_at_once():
    assert may_take(seen(None, released(HELD, "now"), 0.0), "b", 0.0)
    assert may_take(seen(None, {}, 0.0), "b", 0.0)


def test_a_lease_counts_how_often_its_holder_changed():
    mine = taken({}, "a", 15, "first")
    assert (mine["leaseTransitions"], mine["acquireTime"]) == (0, "first")
    renewed = taken(mine, "a", 15, "second")
    assert (renewed["leaseTransitions"], renewed["acquireTime"], renewed["renewTime"]) == (0, "first", "second")
    theirs = taken(released(renewed, "third"), "b", 15, "fourth")
    assert (holder(theirs), theirs["leaseTransitions"], theirs["acquireTime"]) == ("b", 1, "fourth")


@pytest.mark.parametrize(
    ("duration", "deadline", "period"), [("10", "10", "2"), ("15", "2", "2"), ("15", "10", "9"), ("0", "10", "2")]
)
def test_times_of_a_lease_that_leave_no_margin_are_refused(monkeypatch, duration, deadline, period):
    monkeypatch.setenv("REKINDLE_OPERATOR_LEASE_DURATION_SECONDS", duration)
    monkeypatch.setenv("REKINDLE_OPERATOR_RENEW_DEADLINE_SECONDS", deadline)
    monkeypatch.setenv("REKINDLE_OPERATOR_RETRY_PERIOD_SECONDS", period)
    with pytest.raises(ValidationError):
        Settings()


class ClosingGate:
    """Opens so many times, as the gate of a process that is paused right afterwards."""

    def __init__(self, times: int) -> None:
        self._left = times

    def check(self) -> float:
        self._left -= 1
        if self._left < 0:
            raise NotLeading
        return 5.0


class Recorder:
    """A server that answers nothing but keeps what it is asked, and hangs up on the first request."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def start(self) -> Configuration:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0]
        return Configuration(host=f"http://{host}:{port}")

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.method)
        if len(self.asked) == 2 and request.transport is not None:
            request.transport.close()
        return web.json_response({})


async def test_a_write_whose_gate_closes_after_the_connection_stands_is_not_sent():
    server, metrics = Recorder(), Metrics()
    cluster = Cluster(await server.start(), metrics, ClosingGate(times=1), 5.0)
    with pytest.raises(NotLeading):
        await cluster.write("PATCH", "/apis/x", {"status": {}})
    assert server.asked == []
    assert next(iter(metrics.api_requests.collect())).samples == []
    await cluster.close()
    await server.stop()


async def test_a_request_that_is_sent_again_over_a_new_connection_asks_the_gate_again():
    server = Recorder()
    # Two for the first request, two for the second one, none for its second try.
    cluster = Cluster(await server.start(), Metrics(), ClosingGate(times=4), 5.0)
    await cluster.write("DELETE", "/apis/x", {"preconditions": {}})
    with pytest.raises(NotLeading):
        await cluster.write("DELETE", "/apis/x", {"preconditions": {}})
    assert server.asked == ["DELETE", "DELETE"]
    await cluster.close()
    await server.stop()


async def test_a_write_under_way_is_not_broken_off_with_its_caller_and_is_told():
    server, told = Recorder(), list[object]()
    cluster = Cluster(await server.start(), Metrics(), ClosingGate(times=2), 5.0)
    caller = asyncio.create_task(cluster.write("POST", "/apis/x", {}, tell=told.append))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    await cluster.settle()
    assert (server.asked, told) == (["POST"], [{}])
    await cluster.close()
    await server.stop()


def lease_of(api):
    return api.get("leases", LEASE)["spec"]


def versions(api):
    """The children there are, and the versions of jobs; those of children are changed by others too."""
    made = {item["metadata"]["uid"]: "" for item in api.items("jobs")}
    return made | {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in api.items("restorejobs")}


def finished(api, names):
    return [api.until_finished(name, seconds=60) for name in names]


@pytest.mark.stack
@pytest.mark.slow
@pytest.mark.usefixtures("process_node")
def test_only_the_leader_writes_and_a_standby_finishes_the_job_of_one_that_was_killed(
    api, operators, eventually, tmp_path
):
    go = tmp_path / "go"
    first, second = operators("first", **USUAL_LEASE), operators("second", "standby")
    api.engine(f"wait={go}", "complete")
    api.restore()
    api.until_running()
    assert (first.metric("rekindle_leader"), second.metric("rekindle_leader")) == (1.0, 0.0)
    assert first.writes() > 0
    assert second.writes() == 0
    assert lease_of(api)["holderIdentity"] == "first"
    first.kill()
    go.touch()
    assert api.until_finished(seconds=60)["phase"] == "Succeeded"
    eventually(lambda: second.role() == "leader")
    spec = lease_of(api)
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("second", 1)
    assert len(api.items("jobs")) == 1


@pytest.mark.stack
@pytest.mark.slow
@pytest.mark.usefixtures("process_node")
def test_a_leader_that_is_asked_to_stop_hands_over(api, operators, eventually):
    long = {"lease_duration_seconds": "3600", "renew_deadline_seconds": "60"}
    first, second = operators("first", **long), operators("second", "standby")
    assert first.stop() == 0
    assert first.said("lease released")
    # The Lease was promised for an hour: only one that was given back is taken.
    eventually(lambda: second.role() == "leader")
    assert lease_of(api)["holderIdentity"] == "second"
    api.engine("complete")
    api.restore()
    assert api.until_finished()["phase"] == "Succeeded"


@pytest.mark.stack
def test_a_new_lease_goes_with_the_service_account_of_the_operator(api, operators):
    api.create("serviceaccounts", {"metadata": {"name": "installed"}})
    operator = operators("only", service_account="installed")
    [owner] = api.get("leases", LEASE)["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("ServiceAccount", "installed")
    operator.stop()
    api.delete("serviceaccounts", "installed")
    api.until_gone("leases", LEASE)


@pytest.mark.stack
def test_a_lease_that_is_there_gets_no_owner(api, operators):
    # The API server would ask for the right to delete it.
    api.create("serviceaccounts", {"metadata": {"name": "installed"}})
    api.create("leases", {"metadata": {"name": LEASE}, "spec": {}})
    operators("only", service_account="installed")
    assert "ownerReferences" not in api.get("leases", LEASE)["metadata"]


@pytest.mark.stack
def test_a_write_under_way_ends_and_is_told_before_the_lease_is_given_back(api, proxy, operators, eventually):
    def patches(request: web.Request) -> bool:
        return request.method == "PATCH"

    long = {"lease_duration_seconds": "60", "renew_deadline_seconds": "30"}
    operator = operators("only", kubeconfig=proxy.kubeconfig, **long)
    proxy.hold(patches)
    api.restore()
    api.until_waiting("EngineNotFound")
    operator.signal(signal.SIGTERM)
    eventually(lambda: operator.process.poll() is None and lease_of(api)["holderIdentity"] == "only")
    proxy.release()
    assert operator.process.wait(60) == 0
    assert operator.said("job moved")
    done = [(visit.method, visit.body) for visit in sorted(proxy.visits, key=lambda visit: visit.answered_at)]
    [status] = [number for number, (method, _) in enumerate(done) if method == "PATCH"]
    [given_back] = [number for number, (_, body) in enumerate(done) if b'"holderIdentity": ""' in body]
    assert status < given_back


@pytest.mark.stack
@pytest.mark.slow
@pytest.mark.usefixtures("process_node")
def test_a_leader_that_was_paused_writes_nothing_when_it_goes_on(api, operators, eventually, tmp_path):
    go, never = tmp_path / "go", tmp_path / "never"
    first, second = operators("first", **USUAL_LEASE), operators("second", "standby", **USUAL_LEASE)
    api.engine(f"wait={go}", "complete")
    api.engine(f"wait={never}", name="endless", default=False)
    api.restore("before")
    api.until_running("before")
    api.until_noticed("Normal", "Running")
    before = eventually(lambda: (first.writes() == (writes := first.writes())) and writes)
    first.signal(signal.SIGSTOP)
    # It would make children of these, and finish the other, if it believed in its own lead when it goes on.
    api.restore("during")
    api.restore("endless", engineName="endless")
    go.touch()
    assert [status["phase"] for status in finished(api, ["before", "during"])] == ["Succeeded", "Succeeded"]
    api.until_running("endless")
    eventually(lambda: second.role() == "leader")
    settled = versions(api)
    first.signal(signal.SIGCONT)
    eventually(lambda: first.role() == "standby" and first.said("lease lost"))
    assert (first.writes(), versions(api)) == (before, settled)
    assert lease_of(api)["holderIdentity"] == "second"
    api.patch("restorejobs", "endless", {"spec": {"cancel": True}})
    assert api.until_finished("endless")["phase"] == "Cancelled"
    assert first.writes() == before
    second.kill()
    eventually(lambda: first.role() == "leader")
    api.restore("after")
    assert api.until_finished("after", seconds=60)["phase"] == "Succeeded"


@pytest.mark.stack
@pytest.mark.slow
@pytest.mark.usefixtures("process_node")
def test_jobs_of_a_leader_that_is_paused_in_the_middle_of_many_run_once_each(api, operators, eventually):
    first, second = operators("first"), operators("second", "standby")
    names = [f"photo-{number}" for number in range(24)]
    api.engine("complete")
    numbers = count()
    for name in names:
        api.restore(name)
        if next(numbers) == 12:
            first.signal(signal.SIGSTOP)
    eventually(lambda: second.role() == "leader")
    first.signal(signal.SIGCONT)
    statuses = finished(api, names)
    assert {status["phase"] for status in statuses} == {"Succeeded"}
    assert {(len(status["attempts"]), status["run"]["number"]) for status in statuses} == {(1, 1)}
    eventually(lambda: {first.role(), second.role()} == {"leader", "standby"})
    owners = [job["metadata"]["ownerReferences"][0]["name"] for job in api.items("jobs")]
    assert sorted(owners) == sorted(names)
