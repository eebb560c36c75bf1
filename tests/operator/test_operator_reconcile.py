"""The decision by tables: one situation, one answer."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from rekindle_crds import (
    Engine,
    JobStatus,
    Operation,
    Phase,
    Progress,
    ProgressLine,
    Reason,
    RestoreJob,
    SourceLocation,
    Speed,
    Task,
    TerminationMessage,
)
from rekindle_crds.engine import EngineStatus
from rekindle_operator.core.child import child_manifest, child_name
from rekindle_operator.core.decision import Confirm, CreateChild, DeleteChild, ForceDeletePod, ReadTail
from rekindle_operator.core.engine_status import faster_or_slower
from rekindle_operator.core.engines import template_of
from rekindle_operator.core.events import notices
from rekindle_operator.core.kinds import RESTORE_JOB
from rekindle_operator.core.observed import Child, Container, Observed, Pod, Policy, Refusal
from rekindle_operator.core.reconcile import reconcile

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
UID = "0123abcd-0000-4000-8000-000000000000"
PHOTO = SourceLocation(bucket="photos-in", key="a.jpg")


def engine(name: str = "classic", **spec: Any) -> Engine:
    metadata = {"name": name, "namespace": "photos", "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z"}
    body = {"operations": ["Restore"], "image": "engine:1", "default": True, **spec}
    return Engine.model_validate({"metadata": metadata, "spec": body})


def job(status: JobStatus | None = None, *, generation: int = 1, **spec: Any) -> RestoreJob:
    metadata = {
        "name": "photo",
        "namespace": "photos",
        "uid": UID,
        "generation": generation,
        "creationTimestamp": NOW - timedelta(seconds=60),
    }
    where = {
        "source": {"bucket": "photos-in", "key": "a.jpg"},
        "output": {"bucket": "photos-out", "prefix": "results/photo"},
    }
    return RestoreJob.model_validate({"metadata": metadata, "spec": {**where, **spec}, "status": status or JobStatus()})


def child(run: int = 1, **fields: Any) -> Child:
    return Child(**{"name": f"photo-r0123abcd-{run}", "uid": f"child-{run}", "run": run, "engine": "classic", **fields})


def pod(number: int = 1, **fields: Any) -> Pod:
    created = NOW - timedelta(seconds=50 - 10 * number)
    return Pod(**{"name": f"pod-{number}", "uid": f"uid-{number}", "created": created, "node_name": "node", **fields})


def running(number: int = 1, seconds: int = 5, **fields: Any) -> Pod:
    started = Container(started_at=NOW - timedelta(seconds=seconds))
    return pod(number, phase="Running", container=started, **fields)


def ended(number: int = 1, code: int = 0, told: str = "", **fields: Any) -> Pod:
    container = Container(
        started_at=NOW - timedelta(seconds=5),
        finished_at=NOW - timedelta(seconds=2),
        exit_code=code,
        termination_message=told,
    )
    return pod(number, **{"phase": "Failed" if code else "Succeeded", "container": container, **fields})


def told(prefix: str = "results/photo") -> str:
    output = {
        "name": "Result",
        "key": f"{prefix}/uid/result.jpg",
        "sha256": "0" * 64,
        "bytes": 1,
        "width": 1,
        "height": 1,
        "mediaType": "image/jpeg",
    }
    result = {
        "outputs": [output],
        "manifestKey": f"{prefix}/manifest.json",
        "provenance": {"engine": "classic", "version": "1"},
        "sourcePixels": 1,
        "processingMilliseconds": 1,
    }
    return TerminationMessage.model_validate({"reason": "Completed", "result": result}).model_dump_json(by_alias=True)


def observe(status: JobStatus | None = None, *, spec: dict[str, Any] | None = None, **fields: Any) -> Observed:
    return Observed(**{"kind": RESTORE_JOB, "job": job(status, **(spec or {})), "engines": (engine(),), **fields})


def after(observed: Observed, **changes: Any) -> Observed:
    """The same job once the decision's status is written and something else is observed."""
    written = cast("RestoreJob", observed.job).model_copy(update={"status": reconcile(observed, NOW).status})
    return replace(observed, **{"job": written, **changes})


def reason(status: JobStatus) -> str:
    return next(condition.reason for condition in status.conditions if condition.type == "Succeeded")


RUNNING_STATUS = reconcile(observe(children=(child(),), pods=(running(),)), NOW).status


def test_a_new_job_gets_a_child_before_anything_is_written():
    observed = observe()
    decision = reconcile(observed, NOW)
    assert decision.status == observed.status
    assert decision.actions == (CreateChild(run=1, engine=engine(), source=PHOTO, backoff_limit=3),)


def test_a_child_that_exists_is_adopted_into_the_status():
    status = reconcile(observe(children=(child(),)), NOW).status
    assert status.run is not None
    assert (status.run.uid, status.engine_name, status.phase) == ("child-1", "classic", Phase.PENDING)
    assert status.waiting is not None
    assert status.waiting.reason == "WaitingForPod"


@pytest.mark.parametrize(
    ("engines", "name", "expected"),
    [
        ((), None, "EngineNotFound"),
        ((), "classic", "EngineNotFound"),
        ((engine(default=False),), None, "EngineNotFound"),
        ((engine(operations=["Animate"]),), None, "EngineNotFound"),
        ((engine(operations=["Animate"]),), "classic", "EngineMismatch"),
    ],
)
def test_a_job_without_a_fitting_engine_waits(engines, name, expected):
    decision = reconcile(observe(engines=engines, spec={"engineName": name} if name else {}), NOW)
    assert decision.actions == ()
    assert decision.status.waiting is not None
    assert decision.status.waiting.reason == expected
    assert decision.status.phase == Phase.PENDING


def test_the_oldest_of_several_defaults_is_taken():
    older = Engine.model_validate(
        {
            "metadata": {"name": "z", "namespace": "photos", "creationTimestamp": "2025-01-01T00:00:00Z"},
            "spec": {"operations": ["Restore"], "image": "old:1", "default": True},
        }
    )
    [action] = reconcile(observe(engines=(engine(), older)), NOW).actions
    assert isinstance(action, CreateChild)
    assert action.engine.metadata.name == "z"


WAITS = [
    (pod(unschedulable="0/3 nodes: not enough memory"), "Unschedulable"),
    (pod(container=Container(waiting_reason="ErrImagePull")), "ImagePullFailed"),
    (pod(container=Container(waiting_reason="ImagePullBackOff")), "ImagePullFailed"),
    (pod(container=Container(waiting_reason="CreateContainerConfigError")), "ContainerConfigError"),
    (pod(scheduled_at=NOW - timedelta(seconds=30)), "ContainerStarting"),
    (pod(scheduled_at=NOW - timedelta(seconds=1)), "WaitingForPod"),
    (pod(), "WaitingForPod"),
]


@pytest.mark.parametrize(("waiting", "expected"), WAITS)
def test_a_pod_that_does_not_run_says_why(waiting, expected):
    status = reconcile(observe(children=(child(),), pods=(waiting,)), NOW).status
    assert status.waiting is not None
    assert status.waiting.reason == expected


def test_a_pull_error_and_its_back_off_are_written_once():
    pulling = pod(container=Container(waiting_reason="ErrImagePull", waiting_message="no such image"))
    observed = observe(children=(child(),), pods=(pulling,))
    backing_off = pod(container=Container(waiting_reason="ImagePullBackOff", waiting_message="Back-off"))
    later = after(observed, pods=(backing_off,))
    assert reconcile(later, NOW).status == later.status


def test_a_valid_result_ends_the_job_without_waiting_for_the_job_controller():
    status = reconcile(observe(RUNNING_STATUS, children=(child(),), pods=(ended(told=told()),)), NOW).status
    assert (status.phase, reason(status)) == (Phase.SUCCEEDED, "Completed")
    assert status.result is not None
    assert status.active_seconds == 3
    assert status.completion_time == NOW - timedelta(seconds=2)


ENDS = [
    ({"code": 10}, "SourceNotFound"),
    ({"code": 11}, "UnreadableImage"),
    ({"code": 19}, "InputRefused"),
    ({"code": 3}, "EngineError"),
    ({"code": 21}, "StorageUnavailable"),
    ({"code": 29}, "TransientFailure"),
    ({"code": 139}, "Killed"),
]


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ('"bytes":1', f'"bytes":{2**63}'),
        ('"sourcePixels":1', f'"sourcePixels":{2**64}'),
        ('"processingMilliseconds":1', f'"processingMilliseconds":{10**30}'),
        ('"outputs":[{', '"outputs":[' + told().split('"outputs":[')[1].split("]")[0] + ",{"),
    ],
)
def test_a_result_that_no_status_can_hold_fails_the_job(said, instead):
    assert said in told()
    strange = told().replace(said, instead)
    observed = observe(RUNNING_STATUS, children=(child(),), pods=(ended(told=strange),))
    assert reason(reconcile(observed, NOW).status) == "ResultMissing"


@pytest.mark.parametrize(("fields", "expected"), ENDS)
def test_an_exit_code_has_its_reason(fields, expected):
    observed = observe(
        children=(child(failure="gave up"),), pods=(ended(**fields),), tails={"uid-1": ("line",)}, confirmed=True
    )
    status = reconcile(observed, NOW).status
    assert (status.phase, reason(status)) == (Phase.FAILED, expected)
    assert status.attempts[0].reason == expected
    assert status.attempts[0].log_tail == ["line"]


SPECIAL_ENDS = [
    (ended(code=137, disruption="PreemptionByScheduler: made room"), "Preempted"),
    (ended(code=137, disruption="EvictionByEvictionAPI: drained"), "Evicted"),
    (ended(code=137, disruption="TerminationByKubelet"), "Evicted"),
    (ended(code=137, disruption="DeletionByTaintManager: gone"), "NodeLost"),
    (ended(code=137, disruption="DeletionByPodGC: gone"), "NodeLost"),
    (ended(code=137, disruption="Whim: somebody's"), "Disrupted"),
    (ended(code=11, disruption="PreemptionByScheduler"), "UnreadableImage"),
    (ended(code=143, deletion=NOW), "PodDeleted"),
    (running(gone=True), "PodDeleted"),
    (pod(phase="Failed", reason="Evicted", message='emptyDir volume "scratch" exceeds the limit'), "ScratchFull"),
    (pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory."), "Evicted"),
    (pod(phase="Failed", reason="OutOfcpu", message="Node didn't have enough"), "NodeRefused"),
]


@pytest.mark.parametrize(("last", "expected"), SPECIAL_ENDS)
def test_an_end_that_is_not_the_engines_own_has_its_reason(last, expected):
    observed = observe(children=(child(),), pods=(last,), tails={"uid-1": ()})
    status = reconcile(observed, NOW + timedelta(seconds=10)).status
    [attempt] = status.attempts
    assert attempt.reason == expected
    disrupted = expected in {"Evicted", "Preempted", "NodeLost", "Disrupted"}
    assert (status.disruptions or 0, status.failures or 0) == (disrupted, not disrupted)


def test_a_container_killed_for_memory_says_so():
    killed = Container(started_at=NOW, finished_at=NOW, exit_code=137, termination_reason="OOMKilled")
    observed = observe(children=(child(),), pods=(pod(phase="Failed", container=killed),), tails={"uid-1": ()})
    assert reconcile(observed, NOW).status.attempts[0].reason == "OutOfMemory"


def test_the_log_of_a_failed_attempt_is_read_before_its_end_is_written():
    observed = observe(RUNNING_STATUS, children=(child(),), pods=(ended(code=3),))
    decision = reconcile(observed, NOW)
    assert decision.actions == (ReadTail("pod-1", "uid-1"),)
    assert decision.status == observed.status


def test_a_failed_attempt_with_retries_left_waits_for_the_next_one():
    observed = observe(RUNNING_STATUS, children=(child(),), pods=(ended(code=3),), tails={"uid-1": ()})
    status = reconcile(observed, NOW).status
    assert status.waiting is not None
    assert status.waiting.reason == "Retrying"
    assert status.phase == Phase.PENDING


def test_the_last_failure_waits_for_the_verdict_of_the_job_controller():
    observed = observe(
        RUNNING_STATUS, spec={"backoffLimit": 0}, children=(child(),), pods=(ended(code=3),), tails={"uid-1": ()}
    )
    decision = reconcile(observed, NOW)
    assert decision.status == observed.status
    assert decision.wake_up_at is not None
    assert decision.wake_up_at > NOW


def test_several_failures_are_retries_exhausted_and_name_the_last_reason():
    observed = observe(
        children=(child(failure="gave up"),),
        pods=(ended(1, code=3), ended(2, code=21)),
        tails={"uid-1": (), "uid-2": ()},
    )
    assert reconcile(observed, NOW).actions == (Confirm(),)
    status = reconcile(replace(observed, confirmed=True), NOW).status
    assert reason(status) == "RetriesExhausted"
    assert "StorageUnavailable" in status.conditions[0].message


def test_a_failure_is_told_by_its_last_pod_even_when_the_watch_of_pods_lags_behind():
    written = observe(children=(child(failure="gave up"),), pods=(ended(1, code=21),), tails={"uid-1": ()})
    assert reconcile(written, NOW).actions == (Confirm(),)
    both = (ended(1, code=21), ended(2, code=10))
    status = reconcile(replace(written, pods=both, tails={"uid-1": (), "uid-2": ()}, confirmed=True), NOW).status
    assert reason(status) == "SourceNotFound"
    assert status.attempt == 2


def test_a_complete_child_without_a_pod_is_looked_up_before_the_result_is_called_missing():
    observed = observe(children=(child(complete=True),))
    assert reconcile(observed, NOW).actions == (Confirm(),)
    status = reconcile(replace(observed, confirmed=True), NOW).status
    assert reason(status) == "ResultMissing"


def test_a_lost_child_is_looked_up_and_then_replaced_with_the_retries_that_remain():
    written = reconcile(
        observe(RUNNING_STATUS, children=(child(),), pods=(ended(code=3),), tails={"uid-1": ()}), NOW
    ).status
    observed = observe(written, pods=(ended(code=3, gone=True),))
    assert reconcile(observed, NOW).actions == (Confirm(),)
    [action] = reconcile(replace(observed, confirmed=True), NOW).actions
    assert action == CreateChild(run=2, engine=engine(), source=PHOTO, backoff_limit=2)


def test_a_lost_child_waits_until_its_pods_are_gone():
    observed = observe(RUNNING_STATUS, pods=(running(deletion=NOW + timedelta(seconds=30)),), confirmed=True)
    decision = reconcile(observed, NOW)
    assert decision.actions == ()
    assert decision.wake_up_at == NOW + timedelta(seconds=90)
    late = reconcile(observed, NOW + timedelta(seconds=90))
    assert late.actions == (ForceDeletePod("pod-1", "uid-1"),)


def test_children_that_are_deleted_again_and_again_end_the_job():
    run = RUNNING_STATUS.run
    assert run is not None
    written = RUNNING_STATUS.model_copy(update={"run": run.model_copy(update={"number": 20}), "attempts": []})
    assert reason(reconcile(observe(written, confirmed=True), NOW).status) == "ChildLost"


def test_a_job_whose_pod_cannot_start_gets_another_child_when_its_engine_is_changed():
    stuck = pod(container=Container(waiting_reason="ErrImagePull"))
    was = child(template=template_of(engine().spec))
    waiting = observe(children=(was,), pods=(stuck,))
    told_of = after(waiting)
    assert reconcile(told_of, NOW).actions == ()
    assert reconcile(replace(told_of, engines=(engine(maxRunning=3),)), NOW).actions == ()
    corrected = replace(told_of, engines=(engine(image="engine:2"),))
    decision = reconcile(corrected, NOW)
    assert decision.actions == (DeleteChild(was.name, was.uid),)
    assert reason(decision.status) == "EngineChanged"
    gone = after(corrected, children=(), pods=(replace(stuck, gone=True, deletion=NOW),), confirmed=True)
    freed = reconcile(gone, NOW).status
    assert (freed.failures, freed.attempts[0].reason, freed.phase) == (None, "EngineChanged", Phase.PENDING)
    [action] = reconcile(after(gone), NOW).actions
    assert isinstance(action, CreateChild)
    assert (action.run, action.engine.spec.image, action.backoff_limit) == (2, "engine:2", 3)


def test_a_running_job_keeps_its_child_when_its_engine_is_changed():
    was = child(template=template_of(engine().spec))
    observed = observe(RUNNING_STATUS, children=(was,), pods=(running(),), engines=(engine(image="engine:2"),))
    assert reconcile(observed, NOW).actions == ()


STOPPING_STATUS = reconcile(
    observe(RUNNING_STATUS, spec={"suspend": True}, children=(child(),), pods=(running(),), tails={"uid-1": ("half",)}),
    NOW,
).status


def test_a_suspension_holds_although_the_child_failed_while_it_was_stopped():
    stopped = ended(code=20, deletion=NOW)
    failed = observe(
        STOPPING_STATUS,
        spec={"suspend": True, "backoffLimit": 0},
        children=(child(failure="BackoffLimitExceeded", deleting=True),),
        pods=(stopped,),
    )
    decision = reconcile(failed, NOW)
    assert reason(decision.status) == "Suspending"
    assert decision.status.attempts[0].reason == "Suspended"
    gone = reconcile(after(failed, children=(), pods=(replace(stopped, gone=True),), confirmed=True), NOW).status
    assert (gone.phase, gone.failures) == (Phase.SUSPENDED, None)


def test_a_suspension_that_is_taken_back_is_finished_before_the_next_run():
    gone = (running(deletion=NOW, gone=True),)
    taken_back = observe(STOPPING_STATUS, pods=gone, confirmed=True)
    suspended = reconcile(taken_back, NOW).status
    assert (suspended.phase, suspended.attempts[0].reason) == (Phase.SUSPENDED, "Suspended")
    assert suspended.run is not None
    assert suspended.run.stopped
    [action] = reconcile(after(taken_back), NOW).actions
    assert isinstance(action, CreateChild)
    assert action.run == 2


def test_a_job_that_is_suspended_after_its_last_retry_failed_is_not_tried_again():
    failed = observe(
        STOPPING_STATUS,
        spec={"suspend": True, "backoffLimit": 0},
        pods=(ended(code=3),),
        tails={"uid-1": ("boom",)},
        confirmed=True,
    )
    suspended = reconcile(failed, NOW).status
    assert suspended.phase == Phase.SUSPENDED
    resumed = observe(suspended, spec={"backoffLimit": 0}, confirmed=True)
    assert reason(reconcile(resumed, NOW).status) == "EngineError"


def test_a_cancel_comes_before_a_suspension_that_is_under_way():
    spec = {"suspend": True, "cancel": True}
    observed = observe(STOPPING_STATUS, spec=spec, children=(child(deleting=True),), confirmed=True)
    assert reason(reconcile(observed, NOW).status) == "Cancelling"


def test_cancel_reads_the_log_then_writes_it_then_deletes_the_child():
    observed = observe(RUNNING_STATUS, spec={"cancel": True}, children=(child(),), pods=(running(),))
    assert reconcile(observed, NOW).actions == (ReadTail("pod-1", "uid-1"),)
    decision = reconcile(replace(observed, tails={"uid-1": ("last words",)}), NOW)
    assert decision.actions == (DeleteChild("photo-r0123abcd-1", "child-1"),)
    assert decision.status.attempts[0].log_tail == ["last words"]
    assert decision.status.phase == Phase.RUNNING


def test_cancel_ends_only_when_child_and_pods_are_gone():
    observed = observe(spec={"cancel": True}, children=(child(deleting=True),))
    assert reconcile(observed, NOW).status.phase == Phase.PENDING
    gone = observe(spec={"cancel": True})
    assert reconcile(gone, NOW).actions == (Confirm(),)
    assert reconcile(replace(gone, confirmed=True), NOW).status.phase == Phase.CANCELLED


def test_a_result_that_was_finished_before_the_cancel_counts():
    observed = observe(RUNNING_STATUS, spec={"cancel": True}, children=(child(),), pods=(ended(told=told()),))
    assert reconcile(observed, NOW).status.phase == Phase.SUCCEEDED


def test_a_deadline_that_was_written_holds_although_a_container_started_since():
    spec = {"startDeadlineSeconds": 30}
    observed = observe(spec=spec, children=(child(),), pods=(pod(),))
    written = reconcile(observed, NOW).status
    assert reason(written) == "StartDeadlineExceeded"
    raced = observe(written, spec=spec, children=(child(deleting=True),), pods=(running(),), tails={"uid-1": ()})
    assert reason(reconcile(raced, NOW).status) == "StartDeadlineExceeded"


def test_the_active_deadline_counts_the_time_of_earlier_attempts():
    first = observe(RUNNING_STATUS, children=(child(),), pods=(ended(1, code=3),), tails={"uid-1": ()})
    written = reconcile(first, NOW).status
    assert written.active_seconds == 3
    pods = (ended(1, code=3), running(2, seconds=4))
    within = observe(written, spec={"activeDeadlineSeconds": 8}, children=(child(),), pods=pods)
    assert reconcile(within, NOW).wake_up_at == NOW + timedelta(seconds=1)
    beyond = observe(written, spec={"activeDeadlineSeconds": 7}, children=(child(),), pods=pods)
    assert reconcile(beyond, NOW).actions == (ReadTail("pod-2", "uid-2"),)


def test_a_pod_that_stays_terminating_on_a_lost_node_is_removed_by_force():
    stuck = running(deletion=NOW - timedelta(seconds=61))
    observed = observe(RUNNING_STATUS, children=(child(),), pods=(stuck,))
    assert ForceDeletePod("pod-1", "uid-1") in reconcile(observed, NOW).actions


def test_the_eleventh_disruption_ends_the_job():
    pods = tuple(
        replace(ended(1, code=137, disruption="drained"), uid=f"uid-{n}", name=f"pod-{n}", gone=True) for n in range(11)
    )
    status = reconcile(observe(pods=pods, confirmed=True), NOW).status
    assert reason(status) == "TooManyDisruptions"
    assert status.disruptions == 11
    assert len(status.attempts) == 10
    assert status.attempt == 11


def test_an_old_attempt_that_left_the_list_is_not_counted_again():
    pods = tuple(
        replace(ended(1, code=137, disruption="drained"), uid=f"uid-{n:02}", name=f"pod-{n:02}") for n in range(11)
    )
    observed = observe(children=(child(),), pods=pods[:10], tails={pod.uid: () for pod in pods})
    ten = after(observed, pods=pods)
    eleven = after(ten, pods=pods)
    assert reconcile(eleven, NOW).status.attempt == 11
    assert reconcile(eleven, NOW).status.disruptions == 11


def test_a_new_stage_is_written_at_once_and_a_new_percentage_every_five_seconds():
    observed = observe(
        RUNNING_STATUS.model_copy(update={"progress": Progress(percent=10, stage="repair")}),
        children=(child(),),
        pods=(running(),),
        progress={"uid-1": ProgressLine(percent=20, stage="repair")},
        progress_written_at=NOW - timedelta(seconds=2),
    )
    held = reconcile(observed, NOW)
    assert held.status.progress == Progress(percent=10, stage="repair")
    assert held.wake_up_at == NOW + timedelta(seconds=3)
    assert reconcile(observed, NOW + timedelta(seconds=3)).status.progress == Progress(percent=20, stage="repair")
    staged = replace(observed, progress={"uid-1": ProgressLine(percent=20, stage="encode")})
    assert reconcile(staged, NOW).status.progress == Progress(percent=20, stage="encode")


def test_a_cancelled_job_whose_last_child_may_have_been_made_unseen_is_looked_up_first():
    suspended = reconcile(observe(spec={"suspend": True}, confirmed=True), NOW).status
    assert suspended.phase == Phase.SUSPENDED
    still = reconcile(observe(suspended, spec={"suspend": True}), NOW)
    assert (still.status, still.actions) == (suspended, ())
    cancelled = observe(suspended, spec={"cancel": True})
    assert reconcile(cancelled, NOW).actions == (Confirm(),)
    left = replace(cancelled, children=(child(),), confirmed=True)
    assert reconcile(left, NOW).actions == (DeleteChild("photo-r0123abcd-1", "child-1"),)


def test_a_pod_that_a_queue_took_away_costs_no_retry_even_when_the_place_is_given_again_at_once():
    taken = ended(code=20, deletion=NOW - timedelta(seconds=3))
    observed = observe(RUNNING_STATUS, children=(child(queued=True),), pods=(taken,), tails={"uid-1": ()})
    status = reconcile(observed, NOW).status
    assert [attempt.reason for attempt in status.attempts] == ["Preempted"]
    assert status.failures is None


def test_the_time_of_completion_follows_from_the_measured_speed_and_then_stays():
    def measured(speed: int) -> Engine:
        status = EngineStatus(speeds=[Speed(operation=Operation.RESTORE, milliseconds_per_megapixel=speed)])
        return engine().model_copy(update={"status": status})

    line = ProgressLine(percent=10, stage="denoise", source_pixels=6_000_000)
    observed = observe(
        RUNNING_STATUS,
        engines=(measured(2000),),
        children=(child(),),
        pods=(running(seconds=5),),
        progress={"uid-1": line},
    )
    told = reconcile(observed, NOW).status
    assert told.progress is not None
    assert told.progress.estimated_completion_time == NOW + timedelta(seconds=12 - 5)
    slower = replace(observed, job=job(told), engines=(measured(9000),))
    assert reconcile(slower, NOW).status == told
    unmeasured = reconcile(replace(observed, engines=(engine(),)), NOW).status
    assert unmeasured.progress == Progress(percent=10, stage="denoise")


def test_the_latest_results_count_most_for_the_speed_of_an_engine():
    first = faster_or_slower(None, 6_000, 6_000_000)
    assert first == 1000
    assert first < faster_or_slower(first, 12_000, 6_000_000) < 2000


def test_a_refusal_that_may_pass_is_waited_for_longer_each_time_and_a_final_one_fails():
    passing = Refusal(Reason.CHILD_REFUSED, "exceeded quota", final=False, at=NOW, count=3)
    decision = reconcile(observe(refusal=passing), NOW)
    assert decision.status.waiting is not None
    assert decision.status.waiting.message == "exceeded quota"
    assert decision.wake_up_at == NOW + timedelta(seconds=20)
    assert isinstance(reconcile(observe(refusal=passing), NOW + timedelta(seconds=20)).actions[0], CreateChild)
    final = Refusal(Reason.CHILD_REFUSED, "invalid", final=True, at=NOW)
    assert reconcile(observe(refusal=final), NOW).status.phase == Phase.FAILED


def test_a_refusal_of_the_past_wakes_nobody_while_the_engine_is_missing():
    passed = Refusal(Reason.CHILD_REFUSED, "exceeded quota", final=False, at=NOW - timedelta(seconds=60))
    decision = reconcile(observe(engines=(), refusal=passed), NOW)
    assert decision.status.waiting is not None
    assert decision.status.waiting.reason == "EngineNotFound"
    assert decision.wake_up_at is None


def test_the_policy_of_the_installation_is_kept():
    allowed = Policy(buckets=frozenset({"photos-in", "photos-out"}), service_accounts=frozenset({"default"}))
    assert isinstance(reconcile(observe(policy=allowed), NOW).actions[0], CreateChild)
    foreign = reconcile(observe(policy=Policy(buckets=frozenset({"photos-in"}))), NOW).status
    assert reason(foreign) == "BucketNotAllowed"
    engines = (engine(serviceAccountName="admin"),)
    waiting = reconcile(observe(policy=allowed, engines=engines), NOW).status
    assert reason(waiting) == "ServiceAccountNotAllowed"


def test_a_finished_job_only_admits_a_new_generation_and_cleans_up_what_was_left():
    cancelled = reconcile(observe(spec={"cancel": True}, confirmed=True), NOW).status
    observed = observe(cancelled, spec={"generation": 2}, children=(child(),))
    decision = reconcile(observed, NOW)
    assert decision.status.observed_generation == 2
    assert {condition.observed_generation for condition in decision.status.conditions} == {2}
    assert decision.status.model_dump(exclude={"observed_generation", "conditions"}) == cancelled.model_dump(
        exclude={"observed_generation", "conditions"}
    )
    assert decision.actions == (DeleteChild("photo-r0123abcd-1", "child-1"),)


def test_a_job_that_is_being_deleted_is_left_alone():
    observed = observe()
    metadata = observed.metadata.model_copy(update={"deletion_timestamp": NOW})
    going = replace(observed, job=job().model_copy(update={"metadata": metadata}))
    assert reconcile(going, NOW).actions == ()


@pytest.mark.parametrize(
    ("name", "run"), [("photo", 1), ("a" * 253, 20), ("a.b-.c" * 20, 3), ("r-" + "0123456789abcdef" * 2, 1)]
)
def test_the_name_of_a_child_is_a_dns_label_of_its_job(name, run):
    made = child_name(name, "r", UID, run)
    assert len(made) <= 63
    assert made.endswith(f"-r0123abcd-{run}")
    assert "." not in made
    assert made.replace("-", "").isalnum()


def test_the_child_carries_all_that_the_engine_asks_for():
    asked = engine(
        command=["engine", "run"],
        env=[{"name": "AWS_REGION", "value": "eu"}],
        imagePullPolicy="Always",
        imagePullSecrets=[{"name": "registry"}],
        nodeSelector={"gpu": "yes"},
        runtimeClassName="nvidia",
        serviceAccountName="worker",
        scratchSize="5Gi",
        resources={"limits": {"memory": "3Gi"}},
        weights={"persistentVolumeClaim": {"name": "models"}},
    )
    observed = observe(spec={"priorityClassName": "batch"})
    manifest = child_manifest(observed, CreateChild(run=1, engine=asked, source=PHOTO, backoff_limit=2))
    pod_spec = manifest["spec"]["template"]["spec"]
    [container] = pod_spec["containers"]
    variables = {variable["name"] for variable in container["env"]}
    assert manifest["spec"]["backoffLimit"] == 2
    assert container["command"] == ["engine", "run"]
    assert container["resources"] == {"limits": {"memory": "3Gi"}}
    assert {"AWS_REGION", "REKINDLE_TASK", "REKINDLE_POD_UID", "REKINDLE_WEIGHTS_DIR"} <= variables
    assert pod_spec["priorityClassName"] == "batch"
    assert pod_spec["nodeSelector"] == {"gpu": "yes"}
    assert pod_spec["volumes"][0]["emptyDir"] == {"sizeLimit": "5Gi"}
    assert {toleration["tolerationSeconds"] for toleration in pod_spec["tolerations"]} == {60}


def test_no_variable_of_the_container_can_be_put_into_a_task():
    key = "$(AWS_SECRET_ACCESS_KEY)/$$/photo.jpg"
    source = SourceLocation(bucket="photos-in", key=key)
    manifest = child_manifest(observe(), CreateChild(run=1, engine=engine(), source=source, backoff_limit=0))
    [container] = manifest["spec"]["template"]["spec"]["containers"]
    value = next(variable["value"] for variable in container["env"] if variable["name"] == "REKINDLE_TASK")
    assert "$" not in value
    assert Task.model_validate_json(value).source.key == key


def test_events_tell_each_transition_once():
    before = observe(children=(child(),)).status
    assert notices(before, before) == ()
    assert [notice.reason for notice in notices(before, RUNNING_STATUS)] == ["Running"]
    assert notices(RUNNING_STATUS, RUNNING_STATUS) == ()
    done = reconcile(observe(RUNNING_STATUS, children=(child(),), pods=(ended(told=told()),)), NOW).status
    assert [(notice.type, notice.reason) for notice in notices(RUNNING_STATUS, done)] == [("Normal", "Completed")]
