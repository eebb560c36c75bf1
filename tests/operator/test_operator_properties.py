"""Properties of the decision: the order, repetition or loss of observations does not change where a job ends."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from rekindle_crds import Engine, JobStatus, Phase, RestoreJob, TerminationMessage
from rekindle_operator.core.decision import Action, Confirm, CreateChild, ReadTail
from rekindle_operator.core.kinds import RESTORE_JOB
from rekindle_operator.core.observed import Child, Container, Observed, Pod
from rekindle_operator.core.reconcile import reconcile
from rekindle_operator.patch import merge_patch

START = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
PREFIX = "results/photo"
ENGINE = Engine.model_validate(
    {
        "metadata": {"name": "classic", "namespace": "photos"},
        "spec": {"operations": ["Restore"], "image": "engine:1", "default": True},
    }
)
RESULT = TerminationMessage.model_validate(
    {
        "reason": "Completed",
        "result": {
            "outputs": [
                {
                    "name": "Result",
                    "key": f"{PREFIX}/uid/result.jpg",
                    "sha256": "0" * 64,
                    "bytes": 1,
                    "width": 1,
                    "height": 1,
                    "mediaType": "image/jpeg",
                }
            ],
            "manifestKey": f"{PREFIX}/manifest.json",
            "provenance": {"engine": "classic", "version": "1"},
            "sourcePixels": 1,
            "processingMilliseconds": 1,
        },
    }
).model_dump_json(by_alias=True)


def job(status: JobStatus, *, cancel: bool = False, suspend: bool = False) -> RestoreJob:
    metadata = {"name": "photo", "namespace": "photos", "uid": "0123abcd-0000", "generation": 1}
    spec = {
        "source": {"bucket": "photos", "key": "a.jpg"},
        "output": {"bucket": "photos", "prefix": PREFIX},
        "cancel": cancel,
        "suspend": suspend,
    }
    return RestoreJob.model_validate(
        {"metadata": {**metadata, "creationTimestamp": START}, "spec": spec, "status": status}
    )


@dataclass(frozen=True)
class Snapshot:
    """What the cluster holds at one moment."""

    moment: datetime
    children: tuple[Child, ...]
    pods: tuple[Pod, ...]


@st.composite
def lives(draw: st.DrawFn) -> list[Snapshot]:
    """The life of a child: attempts that fail or are disrupted, and at last a success, a fault or no retry left."""
    outcomes = [*draw(st.lists(st.sampled_from(["fail", "disrupt"]), max_size=5)), draw(st.sampled_from(["done", 11]))]
    child = Child(name="photo-r0123abcd-1", uid="child", run=1, engine="classic")
    moment = START
    pods: tuple[Pod, ...] = ()
    snapshots = [Snapshot(moment, (child,), pods)]
    failures = 0
    for number, outcome in enumerate(outcomes):
        moment += timedelta(seconds=10)
        pod = Pod(name=f"pod-{number}", uid=f"uid-{number}", created=moment, node_name="node")
        started = replace(pod, phase="Running", container=Container(started_at=moment + timedelta(seconds=2)))
        ended = _ended(started, outcome, moment + timedelta(seconds=5))
        snapshots += [Snapshot(moment + timedelta(seconds=1), (child,), (*pods, pod))]
        snapshots += [Snapshot(moment + timedelta(seconds=3), (child,), (*pods, started))]
        pods = (*pods, ended)
        snapshots += [Snapshot(moment + timedelta(seconds=6), (child,), pods)]
        failures += outcome == "fail"
        if failures > 3 or outcome == 11:
            child = replace(child, failure="gave up")
            break
        if outcome == "done":
            child = replace(child, complete=True)
    snapshots += [Snapshot(moment + timedelta(seconds=8), (child,), pods)]
    return snapshots


def _ended(started: Pod, outcome: object, moment: datetime) -> Pod:
    code = {"fail": 3, "disrupt": 137, "done": 0}.get(str(outcome), 11)
    told = RESULT if outcome == "done" else ""
    container = replace(started.container, finished_at=moment, exit_code=code, termination_message=told)
    disruption = "drained" if outcome == "disrupt" else None
    return replace(started, phase="Failed" if code else "Succeeded", container=container, disruption=disruption)


def settle(
    status: JobStatus,
    snapshot: Snapshot,
    *,
    cancel: bool = False,
    suspend: bool = False,
    truth: Snapshot | None = None,
) -> tuple[JobStatus, tuple[Action, ...]]:
    """Decide about a snapshot until nothing has to be fetched any more, as the controller does.

    `truth` is what the API server answers when the decision wants its observation confirmed.
    """
    truth = truth or snapshot
    observed = Observed(
        kind=RESTORE_JOB,
        job=job(status, cancel=cancel, suspend=suspend),
        engines=(ENGINE,),
        children=snapshot.children,
        pods=snapshot.pods,
    )
    for _ in range(10):
        decision = reconcile(observed, snapshot.moment)
        observed = replace(observed, job=job(decision.status, cancel=cancel, suspend=suspend))
        fetched = [action for action in decision.actions if isinstance(action, ReadTail | Confirm)]
        if not fetched:
            return decision.status, decision.actions
        for action in fetched:
            if isinstance(action, ReadTail):
                observed = replace(observed, tails={**observed.tails, action.pod_uid: ("line",)})
            else:
                observed = replace(observed, children=truth.children, pods=truth.pods, confirmed=True)
    raise AssertionError("the decision does not settle")


def essence(status: JobStatus) -> dict[str, object]:
    """What a status says without the moments at which it was written."""
    said = status.wire()
    for condition in said["conditions"]:
        del condition["lastTransitionTime"]
    return said


def follow(snapshots: list[Snapshot]) -> JobStatus:
    status = JobStatus()
    for snapshot in snapshots:
        status, _ = settle(status, snapshot)
    return status


@settings(max_examples=60)
@given(life=lives(), data=st.data())
def test_lost_and_repeated_observations_end_in_the_same_state(life, data):
    seen = data.draw(st.lists(st.sampled_from(range(len(life))), max_size=12).map(sorted))
    partial = follow([*(life[index] for index in seen), life[-1]])
    assert essence(partial) == essence(follow(life))
    assert partial.phase is not None
    assert partial.phase.finished


@settings(max_examples=60)
@given(life=lives(), data=st.data())
def test_old_observations_that_return_do_not_change_where_a_job_ends(life, data):
    status = JobStatus()
    for index in [*data.draw(st.permutations(range(len(life)))), -1]:
        old_news = replace(life[index], moment=life[-1].moment)
        status, _ = settle(status, old_news, truth=life[-1])
    assert essence(status) == essence(follow(life))


@settings(max_examples=60)
@given(life=lives(), cut=st.integers(min_value=0, max_value=30), cancel=st.booleans())
def test_a_decision_made_twice_is_made_once(life, cut, cancel):
    snapshot = life[min(cut, len(life) - 1)]
    once, _ = settle(JobStatus(), snapshot, cancel=cancel)
    twice, actions = settle(once, snapshot, cancel=cancel)
    assert twice == once
    if once.phase is not None and once.phase.finished:
        assert not any(isinstance(action, CreateChild) for action in actions)


@settings(max_examples=60)
@given(life=lives(), cut=st.integers(min_value=0, max_value=30))
def test_a_cancelled_job_ends_whenever_it_is_cancelled(life, cut):
    snapshot = life[min(cut, len(life) - 1)]
    status, _ = settle(JobStatus(), snapshot)
    status, _ = settle(status, snapshot, cancel=True)
    gone = tuple(pod if pod.ended else replace(pod, gone=True, deletion=snapshot.moment) for pod in snapshot.pods)
    status, actions = settle(status, Snapshot(snapshot.moment + timedelta(seconds=9), (), gone), cancel=True)
    assert status.phase is not None
    assert status.phase.finished
    assert actions == ()


@settings(max_examples=60)
@given(life=lives(), cut=st.integers(min_value=0, max_value=30), taken_back=st.booleans())
def test_a_job_suspended_at_any_moment_loses_no_retry_and_goes_on_or_had_ended(life, cut, taken_back):
    snapshot = life[min(cut, len(life) - 1)]
    before, _ = settle(JobStatus(), snapshot)
    stopping, actions = settle(before, snapshot, suspend=True)
    gone = tuple(pod if pod.ended else replace(pod, gone=True, deletion=snapshot.moment) for pod in snapshot.pods)
    later = Snapshot(snapshot.moment + timedelta(seconds=9), (), gone)
    if before.phase is not None and before.phase.finished:
        assert (stopping.phase, actions) == (before.phase, ())
        return
    suspended, _ = settle(stopping, later, suspend=not taken_back)
    if suspended.phase is not None and suspended.phase.finished:
        return
    if not taken_back:
        assert suspended.phase == Phase.SUSPENDED
    resumed, actions = settle(suspended, later)
    if resumed.phase is not None and resumed.phase.finished:
        assert (resumed.failures or 0) > 3 or resumed.attempts[-1].exit_code == 11
        return
    [made] = [action for action in actions if isinstance(action, CreateChild)]
    assert made.run == (resumed.run.number if resumed.run is not None else 0) + 1
    assert made.backoff_limit == 3 - (before.failures or 0)


@settings(max_examples=60)
@given(life=lives(), cut=st.integers(min_value=0, max_value=30))
def test_conditions_keep_the_rules_of_kstatus_at_every_moment(life, cut):
    status, _ = settle(JobStatus(), life[min(cut, len(life) - 1)])
    truths = {condition.type: condition.status for condition in status.conditions}
    assert set(truths) == {"Finished", "Succeeded", "Ready", "Reconciling", "Stalled"}
    assert status.phase is not None
    assert (truths["Finished"] == "True") == status.phase.finished == (truths["Reconciling"] == "False")
    assert (truths["Stalled"] == "True") == (truths["Succeeded"] == "False")
    assert (truths["Ready"] == "True") == (truths["Succeeded"] == "True")
    assert (truths["Succeeded"] == "Unknown") == (not status.phase.finished)


json_values = st.recursive(
    st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from("abcd"), json_values, max_size=4)


@given(before=objects, after=objects)
def test_a_merge_patch_turns_one_object_into_the_other(before, after):
    assert apply_patch(before, merge_patch(before, after)) == after
    assert merge_patch(after, after) == {}


def apply_patch(target: object, patch: object) -> object:
    """RFC 7386, section 2."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = apply_patch(result.get(key), value)
    return result
