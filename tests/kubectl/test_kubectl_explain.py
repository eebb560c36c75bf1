"""The explanation of a job: pure, from a status to words."""

from datetime import UTC, datetime, timedelta

import pytest

from rekindle_crds import AnimationJob, Attempt, Condition, Engine, JobStatus, Phase, Reason, RestoreJob, Waiting
from rekindle_crds.status import Progress, Suspension
from rekindle_kubectl.advice import ADVICE
from rekindle_kubectl.explain import Explanation, Occurrence, Situation, explain

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def ago(seconds):
    return NOW - timedelta(seconds=seconds)


def job(status=None, model=RestoreJob, source=None, **spec):
    source = source or {"bucket": "photos", "key": "in/a.jpg"}
    metadata = {"name": "a", "namespace": "n", "creation_timestamp": ago(100)}
    output = {"bucket": "photos", "prefix": "out/a"}
    return model(metadata=metadata, spec={"source": source, "output": output, **spec}, status=status or JobStatus())


def waiting(reason, position=None, **status):
    wait = Waiting(reason=reason, message="the operator's words", position=position)
    return JobStatus(phase=Phase.PENDING, waiting=wait, **status)


def ended(phase, reason, **status):
    truth = "True" if phase == Phase.SUCCEEDED else "False"
    told = Condition(type="Succeeded", status=truth, reason=reason, message="words", last_transition_time=NOW)
    return JobStatus(phase=phase, conditions=[told], completion_time=ago(50), **status)


def attempt(number, reason=None, code=None, tail=None, **times):
    end = {"completion_time": ago(60)} if reason else {}
    return Attempt(
        number=number,
        pod_name=f"pod-{number}",
        pod_uid=str(number),
        node_name="node-a",
        reason=reason,
        exit_code=code,
        log_tail=tail,
        message="its words" if reason else None,
        **{"start_time": ago(72), **end, **times},
    )


def told(**situation) -> tuple[Explanation, str]:
    explanation = explain(Situation(**situation), NOW)
    facts = [line for fact in explanation.facts for line in (fact.title, *fact.lines)]
    return explanation, "\n".join([*explanation.meaning, *explanation.steps, *facts])


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_explained_with_a_next_step(reason):
    for status in (waiting(reason), ended(Phase.FAILED, reason)):
        explanation, text = told(job=job(status), scope=" -n photos")
        assert explanation.meaning[0] == reason.meaning
        assert explanation.steps
        assert "{" not in text.replace("'{", "").replace(':{"', "")
        assert all(step.strip() for step in explanation.steps)


def test_advice_is_given_for_reasons_that_exist_only():
    assert set(ADVICE) == set(Reason)


def test_commands_are_for_the_namespace_that_was_asked_about():
    explanation, _ = told(job=job(waiting(Reason.SUSPENDED)), scope=" -n photos")
    assert explanation.steps == ("Let it go on:", "$ kubectl rekindle resume rjob/a -n photos")


def test_a_reason_of_a_newer_operator_is_named_and_not_guessed_at():
    explanation, _ = told(job=job(waiting("MoonInTheWay")))
    assert explanation.meaning == ("MoonInTheWay is a reason that this version does not know.",)
    assert explanation.message == "the operator's words"


def test_a_job_that_the_operator_has_not_seen_points_to_the_operator():
    explanation, _ = told(job=job())
    assert explanation.phase == "New"
    assert "the operator does not run, or does not serve this namespace" in explanation.steps[0]


def test_a_job_in_line_tells_its_place_and_its_engine():
    engine = Engine(
        metadata={"name": "classical", "namespace": "n"},
        spec={"operations": ["Restore"], "image": "i", "max_running": 2},
        status={
            "running": 2,
            "waiting": 7,
            "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "last_transition_time": NOW}],
            "speeds": [{"operation": "Restore", "milliseconds_per_megapixel": 1250}],
        },
    )
    status = waiting(Reason.ENGINE_FULL, position=3, engine_name="classical")
    explanation, text = told(job=job(status), engine=engine)
    assert explanation.headline == "for 100s, about 3rd in line"
    assert "classical, ready, 2 running of at most 2, 7 waiting, 1250 ms/MP (Restore)" in text
    assert "$ kubectl edit engine classical" in explanation.steps


def test_retries_name_the_reason_behind_them_and_what_is_left():
    attempts = [attempt(1, Reason.OUT_OF_MEMORY, 137, ["tile 3", "tile 4"]), attempt(2, Reason.EVICTED)]
    status = waiting(Reason.RETRYING, attempt=2, attempts=attempts, failures=1, disruptions=1)
    explanation, text = told(job=job(status))
    assert explanation.meaning == (Reason.RETRYING.meaning, Reason.EVICTED.meaning)
    assert "#1 OutOfMemory (exit code 137) after 12s on node-a: its words" in text
    assert "   | tile 4" in text
    assert "1 of 3 retries used; 1 disrupted, which cost no retry" in text


def test_when_all_retries_are_used_the_last_attempt_says_what_to_mend_before_the_retry():
    attempts = [attempt(number, Reason.OUT_OF_MEMORY, 137) for number in (1, 2, 3, 4)]
    status = ended(Phase.FAILED, Reason.RETRIES_EXHAUSTED, attempt=4, attempts=attempts, failures=4)
    explanation, text = told(job=job(status))
    assert explanation.steps[0].startswith("Raise resources.limits.memory")
    assert explanation.steps[-1] == "$ kubectl rekindle retry rjob/a"
    assert "3 of 3 retries used" in text


def test_no_retry_is_recommended_where_it_cannot_help_and_none_was_used():
    attempts = [attempt(1, Reason.UNREADABLE_IMAGE, 11)]
    status = ended(Phase.FAILED, Reason.UNREADABLE_IMAGE, attempt=1, attempts=attempts, failures=1)
    explanation, text = told(job=job(status))
    assert "0 of 3 retries used" in text
    assert not any("kubectl rekindle retry" in step for step in explanation.steps)


def test_a_running_job_tells_how_far_it_is_and_how_long_it_may_run():
    progress = Progress(percent=40, stage="denoise", estimated_completion_time=NOW + timedelta(seconds=30))
    status = JobStatus(
        phase=Phase.RUNNING, progress=progress, attempt=1, attempts=[attempt(1)], start_time=ago(72), active_seconds=20
    )
    explanation, text = told(job=job(status, active_deadline_seconds=600, start_deadline_seconds=60))
    assert explanation.headline == "40 %, denoise"
    assert "40 %, denoise, about 30s left" in text
    assert "#1 running for 72s on node-a (pod pod-1)" in text
    assert "given up after 8m28s more with a running container" in text
    assert "when no container has started" not in text


def test_a_start_deadline_stands_still_while_a_job_is_suspended():
    waits = waiting(Reason.ENGINE_FULL)
    _, text = told(job=job(waits, start_deadline_seconds=130))
    assert "given up in 30s when no container has started" in text
    slept = waits.model_copy(update={"suspension": Suspension(count=2, seconds=10, since=ago(40))})
    _, text = told(job=job(slept, start_deadline_seconds=130))
    assert "given up in 80s when no container has started (stands still while suspended)" in text


def test_a_job_that_ended_tells_when_it_will_be_deleted():
    status = ended(Phase.FAILED, Reason.KILLED)
    _, text = told(job=job(status, ttl_seconds_after_failed=110, ttl_seconds_after_succeeded=1))
    assert "deleted in 60s (time to live)" in text


def test_an_animation_that_waits_explains_its_restoration_too():
    upstream = job(waiting(Reason.IMAGE_PULL_FAILED))
    animation = job(waiting(Reason.WAITING_FOR_RESTORE_JOB), AnimationJob, {"restore_job_name": "a"})
    explanation, _ = told(job=animation, upstream=upstream)
    assert explanation.job == "ajob/a"
    assert explanation.upstream is not None
    assert explanation.upstream.job == "rjob/a"
    assert explanation.upstream.meaning == (Reason.IMAGE_PULL_FAILED.meaning,)


def test_a_change_that_was_not_acted_on_yet_is_told():
    stale = job(waiting(Reason.ENGINE_FULL, observed_generation=1), cancel=True)
    stale = stale.model_copy(update={"metadata": stale.metadata.model_copy(update={"generation": 2})})
    assert "The operator has not acted on the last change of the spec yet." in told(job=stale)[1]
    assert "Cancel was asked for." in told(job=job(waiting(Reason.ENGINE_FULL, observed_generation=0), cancel=True))[1]


def test_recent_events_are_told_oldest_first_and_what_could_not_be_read_is_said():
    events = [Occurrence("Normal", f"Reason{seconds}", "m", ago(seconds)) for seconds in (5, 90, 30)]
    _, text = told(job=job(), events=events, unread=["Engine x: forbidden"])
    assert text.index("90s ago   Reason90: m") < text.index("30s ago") < text.index("5s ago")
    assert "Engine x: forbidden" in text
