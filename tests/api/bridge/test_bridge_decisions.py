"""The bridge's decisions, by tables: what a resource says of its attempt, and what an answer means for an order."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle_api.attempts.models import AttemptStatus
from rekindle_api.attempts.transitions import Observation, Standing, decide
from rekindle_api.bridge.answers import Answer, Verdict, backoff, verdict_on_change, verdict_on_creation
from rekindle_api.bridge.outcomes import keys_in
from rekindle_api.bridge.resources import RESTORE
from rekindle_api.bridge.sightings import Sighting, Success, sighting_of
from rekindle_crds import Manifest, Output, OutputName, Provenance, SourceLocation

ATTEMPT = uuid.UUID("0190c0de-0000-7000-8000-000000000001")
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def _conditions(finished: str, succeeded: str, reason: str, message: str = "") -> list[dict[str, str]]:
    when = "2026-01-01T00:01:00Z"
    return [
        {"type": "Finished", "status": finished, "reason": reason, "lastTransitionTime": when},
        {"type": "Succeeded", "status": succeeded, "reason": reason, "message": message, "lastTransitionTime": when},
    ]


def _resource(status: dict[str, Any] | None, **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": RESTORE.name_of(ATTEMPT),
            "resourceVersion": "7",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"rekindle.dev/attempt": str(ATTEMPT)},
            **metadata,
        },
        "spec": {},
        **({} if status is None else {"status": status}),
    }


def _sighting(status: dict[str, Any] | None) -> Sighting:
    sighting = sighting_of(RESTORE, _resource(status))
    assert sighting is not None
    return sighting


QUEUED = Observation(status=AttemptStatus.QUEUED, resource_version=7)


@pytest.mark.parametrize(
    ("status", "seen"),
    [
        (None, QUEUED),
        ({"observedGeneration": -1}, QUEUED),
        ({"phase": "Pending", "conditions": _conditions("False", "Unknown", "Accepted")}, QUEUED),
        (
            {"phase": "Pending", "waiting": {"reason": "EngineNotFound", "message": "There is no Engine."}},
            Observation(
                status=AttemptStatus.QUEUED,
                reason="EngineNotFound",
                message="There is no Engine.",
                resource_version=7,
            ),
        ),
        (
            {"phase": "Queued", "waiting": {"reason": "WaitingForPod"}},
            Observation(status=AttemptStatus.QUEUED, reason="WaitingForPod", resource_version=7),
        ),
        (
            {
                "phase": "Running",
                "startTime": "2026-01-01T00:00:00Z",
                "progress": {"percent": 40, "stage": "denoise"},
                "conditions": _conditions("False", "Unknown", "Running"),
            },
            Observation(
                status=AttemptStatus.PROCESSING,
                progress_percent=40,
                progress_stage="denoise",
                started_at=START,
                resource_version=7,
            ),
        ),
        (
            {
                "phase": "Running",
                "startTime": "2026-01-01T00:00:00Z",
                "progress": {"percent": 1, "stage": "fetch", "estimatedCompletionTime": "2026-01-02T00:00:00Z"},
            },
            Observation(
                status=AttemptStatus.PROCESSING,
                progress_percent=1,
                progress_stage="fetch",
                started_at=START,
                estimated_completion_at=NOW,
                resource_version=7,
            ),
        ),
        (
            {"phase": "Queued", "startTime": "2026-01-01T00:00:00Z", "waiting": {"reason": "Retrying"}},
            Observation(status=AttemptStatus.PROCESSING, reason="Retrying", started_at=START, resource_version=7),
        ),
        (
            {
                "phase": "Succeeded",
                "startTime": "2026-01-01T00:00:00Z",
                "completionTime": "2026-01-02T00:00:00Z",
                "conditions": _conditions("True", "True", "Completed"),
            },
            Success(START, NOW),
        ),
        (
            {"phase": "Failed", "conditions": _conditions("True", "False", "SourceNotFound", "No such object.")},
            Observation(status=AttemptStatus.FAILED, reason="SourceNotFound", message="No such object."),
        ),
        (
            {"phase": "Cancelled", "conditions": _conditions("True", "False", "Cancelled")},
            Observation(status=AttemptStatus.CANCELLED, reason="Cancelled"),
        ),
        # The conditions decide, not the word for people.
        ({"phase": "Succeeded", "conditions": _conditions("False", "Unknown", "Running")}, QUEUED),
        ({"phase": "Succeeded"}, QUEUED),
        # A newer operator's status in a form that is not known here ends nothing.
        ({"phase": "Dreaming", "conditions": _conditions("True", "False", "Dreamt")}, QUEUED),
    ],
)
def test_a_status_says_where_the_attempt_stands(status: dict[str, Any] | None, seen: Observation | Success) -> None:
    assert _sighting(status).seen == seen


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {}},
        {"labels": {"rekindle.dev/attempt": "none"}},
        {"labels": {"rekindle.dev/attempt": "0190c0de-0000-7000-8000-000000000002"}},
        {"name": "r-by-hand"},
    ],
)
def test_what_this_service_did_not_make_is_no_sighting(metadata: dict[str, Any]) -> None:
    assert sighting_of(RESTORE, _resource(None, **metadata)) is None


def test_a_version_that_is_no_number_gives_no_order() -> None:
    sighting = sighting_of(RESTORE, _resource(None, resourceVersion="abc"))
    assert sighting is not None
    assert sighting.seen == Observation(status=AttemptStatus.QUEUED)


@pytest.mark.parametrize(
    ("code", "creation", "change"),
    [
        (200, Verdict.DONE, Verdict.DONE),
        (201, Verdict.DONE, Verdict.DONE),
        (0, Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
        (400, Verdict.REFUSED, Verdict.REFUSED),
        (401, Verdict.REFUSED, Verdict.REFUSED),
        (403, Verdict.REFUSED, Verdict.REFUSED),
        (404, Verdict.REFUSED, Verdict.ABSENT),
        (409, Verdict.EXISTS, Verdict.UNAVAILABLE),
        (422, Verdict.INVALID, Verdict.REFUSED),
        (429, Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
        (500, Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
        (503, Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
    ],
)
def test_an_answer_means_what_its_code_says(code: int, creation: Verdict, change: Verdict) -> None:
    assert verdict_on_creation(Answer(code)) is creation
    assert verdict_on_change(Answer(code)) is change


def test_an_error_is_one_short_line() -> None:
    assert Answer(500, "a\n  b").error == "500: a b"
    assert Answer(0, "TimeoutError").error == "TimeoutError"
    assert len(Answer(422, "x" * 5000).error) == 400


@given(tries=st.integers(1, 10_000), chance=st.floats(0, 1))
def test_waits_grow_to_a_limit_and_never_vanish(tries: int, chance: float) -> None:
    wait = backoff(tries, first=1, limit=60, chance=chance)
    assert min(60, 2 ** min(tries - 1, 10)) / 2 <= wait <= 60
    assert wait <= backoff(tries + 1, first=1, limit=60, chance=1)


def _manifest(keys: dict[OutputName, str]) -> Manifest:
    return Manifest(
        task_digest="0" * 64,
        pod_uid="p",
        created_at=NOW,
        source=SourceLocation(bucket="photos", key="k"),
        source_sha256="0" * 64,
        source_width=1,
        source_height=1,
        outputs=[
            Output(name=name, key=key, sha256="0" * 64, bytes=1, width=1, height=1, media_type="image/jpeg")
            for name, key in keys.items()
        ],
        steps=[],
        provenance=Provenance(engine="e", version="1"),
        processing_milliseconds=1,
    )


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({OutputName.RESULT: "a/b/p/r.jpg"}, True),
        ({OutputName.RESULT: "a/b/p/r.jpg", OutputName.PREVIEW: "a/b/p/p.webp"}, True),
        ({OutputName.PREVIEW: "a/b/p/p.webp"}, False),
        ({OutputName.RESULT: "a/c/p/r.jpg"}, False),
        ({OutputName.RESULT: "a/bc/p/r.jpg"}, False),
        ({OutputName.RESULT: "a/b/p/r.jpg", OutputName.THUMBNAIL: "somebody/else.jpg"}, False),
        ({OutputName.RESULT: "a/b/p/\0.jpg"}, False),
        ({OutputName.RESULT: "a/b/p/" + "界" * 350}, False),
    ],
)
def test_only_a_result_under_the_attempts_own_prefix_counts(keys: dict[OutputName, str], found: bool) -> None:
    read = keys_in(_manifest(keys), "a/b")
    assert (read is not None) is found
    if read is not None:
        assert read.result == keys[OutputName.RESULT]
        assert read.manifest == "a/b/manifest.json"


STORY = [
    Observation(status=AttemptStatus.QUEUED, reason="WaitingForPod", resource_version=2),
    *(
        Observation(
            status=AttemptStatus.PROCESSING, progress_percent=percent, started_at=START, resource_version=version
        )
        for version, percent in enumerate((10, 60, 0, 30, 90), 3)
    ),
]


@given(before=st.lists(st.sampled_from(STORY)), after=st.lists(st.sampled_from(STORY)))
def test_sightings_in_any_order_and_number_leave_the_newest_state(
    before: list[Observation], after: list[Observation]
) -> None:
    """Two bridges that read at their own pace, one of them with gaps, end where a perfect reader ends."""
    row: dict[str, Any] = {"status": AttemptStatus.QUEUED}
    for seen in (*before, STORY[-1], *after):
        change = decide(Standing(**row), seen, NOW)
        if change is not None:
            row |= change.values
    assert row["progress_percent"] == 90
    assert row["resource_version"] == 7
    assert decide(Standing(**row), STORY[-1], NOW) is None
