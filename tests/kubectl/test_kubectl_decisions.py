"""What the plugin decides without a cluster: names, orders, retries, rows and words."""

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rekindle_crds import AnimationJob, Engine, JobStatus, Label, Phase, RestoreJob, RestoreParameters
from rekindle_crds.crd import RESTORE_JOB
from rekindle_crds.status import Progress, Waiting
from rekindle_kubectl.again import again, refuse_source
from rekindle_kubectl.errors import PluginError
from rekindle_kubectl.options import add_parameters, duration, parameters
from rekindle_kubectl.orders import Wishes, file_photo, object_photo, order_of
from rekindle_kubectl.table import engine_cells, job_row, ordered, plain
from rekindle_kubectl.words import ordinal, span

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DIGEST = "ab" * 32


def wishes(**changes):
    return Wishes(**{"parameters": RestoreParameters(), "bucket": "photos", "prefix": "rekindle", **changes})


def ordered_name(path="Grandma 1952.jpg", digest=DIGEST, **changes):
    return order_of(RESTORE_JOB, file_photo(Path(path), digest, "photos", "rekindle"), wishes(**changes)).name


def test_the_name_of_a_job_belongs_to_photo_wishes_and_place_and_not_to_how_it_is_run():
    name = ordered_name()
    assert name == ordered_name(engine="swift", priority=5, queue="night", folder=Path("/tmp"))
    assert name == ordered_name(parameters=RestoreParameters(tone=90))
    others = [
        ordered_name(digest="cd" * 32),
        ordered_name(parameters=RestoreParameters(tone=1)),
        ordered_name(bucket="other"),
        ordered_name(prefix="elsewhere"),
        ordered_name(path="other.jpg"),
    ]
    assert len({name, *others}) == 6


@pytest.mark.parametrize("stem", ["Ünïcödé", "家族", "-", "a" * 300, "..", "x.y z"])
def test_any_file_name_makes_a_valid_order(stem):
    photo = file_photo(Path(f"{stem}.JPG"), DIGEST, "photos", "rekindle")
    order = order_of(RESTORE_JOB, photo, wishes())
    assert len(order.name) < 63
    assert order.body["spec"]["source"]["key"] == f"rekindle/photos/{DIGEST}.jpg"
    RestoreJob.model_validate({**order.body, "metadata": {**order.body["metadata"], "namespace": "n"}})


def test_only_what_was_asked_for_stands_in_the_spec():
    order = order_of(RESTORE_JOB, object_photo("s3://photos/in/a b.jpg"), wishes(parameters=RestoreParameters(tone=5)))
    assert order.body["spec"]["restore"] == {"tone": 5}
    assert set(order.body["spec"]) == {"source", "output", "restore"}
    assert order.target == Path("a b-restored.jpg")


def test_options_are_made_from_the_fields_of_the_model():
    parser = argparse.ArgumentParser()
    add_parameters(parser, "parameters", RestoreParameters)
    given = parser.parse_args(["--tone", "80", "--format", "webp", "--max-megapixels", "4", "--prompt", "warmer"])
    read = parameters(given, RestoreParameters)
    assert read.model_dump(exclude_unset=True, mode="json") == {
        "tone": 80,
        "format": "WebP",
        "max_megapixels": 4,
        "prompt": "warmer",
    }
    options = parser.format_help()
    assert all("--" + name.replace("_", "-") in options for name in RestoreParameters.model_fields)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172_800)])
def test_durations_are_read_as_kubectl_writes_them(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5", "1.5h", "5 m", "m5"])
def test_other_words_are_no_durations(text):
    with pytest.raises(argparse.ArgumentTypeError):
        duration(text)


def job(name="a", prefix="out/a", model=RestoreJob, source=None, **fields):
    spec = {
        "source": source or {"bucket": "photos", "key": "in/a.jpg"},
        "output": {"bucket": "photos", "prefix": prefix},
        **fields.pop("spec", {}),
    }
    metadata = {"name": name, "namespace": "n", "creation_timestamp": NOW, **fields.pop("metadata", {})}
    return model(metadata=metadata, spec=spec, status=JobStatus(**fields))


def test_a_retry_has_a_new_name_and_prefix_and_nothing_that_stops_it():
    labels = {Label.OWNER: "u1", Label.ATTEMPT: "7", "argocd.argoproj.io/instance": "x"}
    spec = {"cancel": True, "suspend": True, "priority": 4, "backoff_limit": 1, "restore": {"tone": 3}}
    body = again(job(spec=spec, metadata={"labels": labels}))
    assert body["metadata"] == {"name": "a-retry-1", "labels": {Label.OWNER: "u1"}}
    assert body["spec"]["output"] == {"bucket": "photos", "prefix": "out/a-retry-1"}
    assert not {"cancel", "suspend"} & set(body["spec"])
    assert (body["spec"]["priority"], body["spec"]["backoffLimit"], body["spec"]["restore"]["tone"]) == (4, 1, 3)
    assert body["spec"]["source"] == {"bucket": "photos", "key": "in/a.jpg"}


def test_a_retry_of_a_retry_counts_on():
    body = again(job("a-retry-9", prefix="out/a-retry-9"))
    assert body["metadata"]["name"] == "a-retry-10"
    assert body["spec"]["output"]["prefix"] == "out/a-retry-10"


def test_a_retry_of_the_longest_names_is_still_valid():
    body = again(job("a" * 253, prefix="p" * 256))
    RestoreJob.model_validate({**body, "metadata": {**body["metadata"], "namespace": "n"}})
    assert body["metadata"]["name"].endswith("-retry-1")


def test_what_runs_stands_above_what_waits_and_that_above_what_ended():
    def waits(name, position, priority=0):
        waiting = Waiting(reason="EngineFull", position=position)
        return job(name, phase=Phase.PENDING, waiting=waiting, spec={"priority": priority})

    jobs = [
        job("done", phase=Phase.SUCCEEDED, completion_time=NOW - timedelta(hours=1)),
        job("failed", phase=Phase.FAILED, completion_time=NOW),
        waits("third", 3),
        job("new"),
        job("asleep", phase=Phase.SUSPENDED),
        waits("first", 1),
        waits("urgent", None, priority=9),
        waits("placeless", None),
        job("begun", phase=Phase.RUNNING, progress=Progress(percent=5, stage="x")),
        job("far", phase=Phase.RUNNING, progress=Progress(percent=95, stage="x")),
    ]
    names = [each.metadata.name for each in ordered(jobs)]
    assert names == ["far", "begun", "first", "third", "urgent", "placeless", "new", "asleep", "failed", "done"]


def test_a_row_tells_where_a_job_stands():
    left = NOW + timedelta(seconds=20)
    running = Progress(percent=40, stage="denoise", estimated_completion_time=left)
    row = job_row(job(phase=Phase.RUNNING, progress=running, engine_name="swift", attempt=2), NOW)
    assert row.cells == ("rjob/a", "Running", "40%", "denoise, about 20s left", "swift", "2", "0", "0s")
    waiting = Waiting(reason="EngineFull", position=2)
    row = job_row(job(model=AnimationJob, phase=Phase.PENDING, waiting=waiting), NOW)
    assert row.cells == ("ajob/a", "Pending", "", "EngineFull, 2nd in line", "", "", "0", "0s")


def test_a_row_tells_what_an_engine_has_to_do():
    spec = {"operations": ["Restore", "Animate"], "image": "i", "max_running": 3, "default": True}
    status = {"running": 1, "waiting": 0, "speeds": [{"operation": "Restore", "milliseconds_per_megapixel": 1250}]}
    engine = Engine(metadata={"name": "swift", "namespace": "n"}, spec=spec, status=status)
    assert engine_cells(engine) == ("swift (default)", "Restore,Animate", "", "1", "0", "3", "1250/-")


def test_a_plain_table_is_aligned_without_spaces_at_the_end():
    assert plain(("A", "LONG"), [("x", ""), ("yyyy", "z")]) == "A      LONG\nx\nyyyy   z"


@pytest.mark.parametrize(
    ("number", "word"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (22, "22nd")]
)
def test_ordinals(number, word):
    assert ordinal(number) == word


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0s"),
        (119, "119s"),
        (200, "3m20s"),
        (180, "3m"),
        (3599, "59m"),
        (7200, "120m"),
        (90_000, "25h"),
        (900_000, "10d"),
    ],
)
def test_times_are_written_as_kubectl_writes_them(seconds, words):
    assert span(timedelta(seconds=seconds)) == words


def test_an_animation_of_a_failed_restoration_is_not_retried_alone():
    told = {"type": "Succeeded", "status": "False", "reason": "RestoreJobFailed", "last_transition_time": NOW}
    animation = job(model=AnimationJob, source={"restore_job_name": "b"}, phase=Phase.FAILED, conditions=[told])
    with pytest.raises(PluginError, match="kubectl rekindle retry rjob/b --wait"):
        refuse_source(animation)
