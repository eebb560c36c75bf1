"""AnimationJobs on the real API server: of a photo, and of the result of a RestoreJob that they wait for."""

from typing import Any

import pytest

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("process_node")]


@pytest.fixture
def api(shared_api):
    return shared_api


def end_of(status: dict[str, Any]) -> tuple[str, str]:
    return status["phase"], str(next(c["reason"] for c in status["conditions"] if c["type"] == "Succeeded"))


def both(api, *words, **spec):
    api.engine(*words, operations=["Restore", "Animate"], **spec)


def test_a_photo_is_animated_by_an_engine_that_offers_it(api, eventually):
    api.engine("exit=3")
    api.engine("print=moving", "complete", name="animator", operations=["Animate"])
    made = api.animate(animation={"style": "KenBurns", "durationSeconds": 3})
    done = api.until_finished("film")
    assert end_of(done) == ("Succeeded", "Completed")
    assert (done["engineName"], "source" in done) == ("animator", False)
    [child] = api.items("jobs")
    assert child["metadata"]["labels"]["rekindle.dev/job-kind"] == "AnimationJob"
    assert child["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    eventually(lambda: ("Normal", "Completed") in api.notices("film"))


def test_an_animation_waits_for_its_restoration_and_takes_its_result(api, tmp_path):
    go = tmp_path / "go"
    both(api, f"wait={go}", "complete")
    api.animate(restore="photo")
    missing = api.until_waiting("RestoreJobNotFound", "film")
    assert (missing["phase"], end_of(missing)[1]) == ("Pending", "RestoreJobNotFound")
    api.restore()
    api.until_waiting("WaitingForRestoreJob", "film")
    go.touch()
    photo, film = api.until_finished("photo"), api.until_finished("film")
    assert end_of(film) == ("Succeeded", "Completed")
    assert film["source"] == {"bucket": "photos", "key": photo["result"]["outputs"][0]["key"]}


def test_an_animation_of_a_restoration_that_ended_before_starts_at_once(api):
    both(api, "complete")
    api.restore()
    photo = api.until_finished("photo")
    api.animate(restore="photo")
    film = api.until_finished("film")
    assert end_of(film) == ("Succeeded", "Completed")
    assert film["source"]["key"] == photo["result"]["outputs"][0]["key"]


def test_an_animation_that_has_its_source_survives_the_deletion_of_its_restoration(api, tmp_path):
    go = tmp_path / "go"
    api.engine("complete")
    api.engine(f"wait={go}", "complete", name="animator", operations=["Animate"])
    api.restore()
    api.until_finished()
    api.animate(restore="photo")
    api.until_running("film")
    api.delete("restorejobs", "photo")
    api.until_gone("restorejobs", "photo")
    go.touch()
    assert end_of(api.until_finished("film")) == ("Succeeded", "Completed")


def test_an_animation_that_only_waits_for_an_engine_survives_it_too(api):
    api.engine("complete")
    api.restore()
    api.until_finished()
    api.animate(restore="photo")
    api.until(lambda status: "source" in status, "film")
    api.delete("restorejobs", "photo")
    api.until_gone("restorejobs", "photo")
    api.until_waiting("EngineNotFound", "film")
    api.engine("complete", name="animator", operations=["Animate"])
    assert end_of(api.until_finished("film")) == ("Succeeded", "Completed")


@pytest.mark.parametrize("early", [True, False])
def test_an_animation_fails_with_its_restoration(api, tmp_path, early):
    go = tmp_path / "go"
    both(api, f"wait={go}", "exit=11")
    api.restore()
    if early:
        api.animate(restore="photo")
        api.until_waiting("WaitingForRestoreJob", "film")
    go.touch()
    api.until_finished("photo")
    if not early:
        api.animate(restore="photo")
    film = api.until_finished("film")
    assert end_of(film) == ("Failed", "RestoreJobFailed")
    assert "UnreadableImage" in film["conditions"][0]["message"]
    assert len(api.items("jobs")) == 1


@pytest.mark.parametrize("early", [True, False])
def test_an_animation_fails_when_its_restoration_is_cancelled(api, tmp_path, early):
    both(api, f"wait={tmp_path / 'never'}")
    api.restore()
    if early:
        api.animate(restore="photo")
        api.until_waiting("WaitingForRestoreJob", "film")
    api.patch("restorejobs", "photo", {"spec": {"cancel": True}})
    api.until_finished("photo")
    if not early:
        api.animate(restore="photo")
    assert end_of(api.until_finished("film")) == ("Failed", "RestoreJobCancelled")


def test_an_animation_fails_when_its_restoration_is_deleted_before_its_end(api, tmp_path):
    both(api, f"wait={tmp_path / 'never'}")
    api.restore()
    api.until_running()
    api.animate(restore="photo")
    api.until_waiting("WaitingForRestoreJob", "film")
    api.delete("restorejobs", "photo")
    assert end_of(api.until_finished("film")) == ("Failed", "RestoreJobGone")


def test_an_operator_that_restarts_misses_no_end_of_a_restoration(api, shared_operator, tmp_path):
    both(api, f"wait={tmp_path / 'never'}")
    api.restore()
    api.until_running()
    api.animate(restore="photo")
    api.until_waiting("WaitingForRestoreJob", "film")
    shared_operator.kill()
    api.delete("restorejobs", "photo")
    api.until_gone("restorejobs", "photo")
    shared_operator.start()
    assert end_of(api.until_finished("film")) == ("Failed", "RestoreJobGone")


def test_an_animation_that_waits_for_its_restoration_has_its_deadline_and_can_be_stopped(api):
    api.animate(restore="photo", startDeadlineSeconds=10)
    api.until_waiting("RestoreJobNotFound", "film")
    api.patch("animationjobs", "film", {"spec": {"suspend": True}})
    api.until(lambda status: status["phase"] == "Suspended", "film")
    api.patch("animationjobs", "film", {"spec": {"suspend": False}})
    assert end_of(api.until_finished("film")) == ("Failed", "StartDeadlineExceeded")


def test_an_animation_that_waits_for_its_restoration_can_be_cancelled(api):
    api.animate(restore="photo")
    api.until_waiting("RestoreJobNotFound", "film")
    api.patch("animationjobs", "film", {"spec": {"cancel": True}})
    assert end_of(api.until_finished("film")) == ("Cancelled", "Cancelled")


def test_an_animation_fails_by_its_own_source_too(api):
    both(api, "print=looking", "exit=11")
    api.animate()
    film = api.until_finished("film")
    assert end_of(film) == ("Failed", "UnreadableImage")
    assert film["attempts"][0]["logTail"] == ["looking"]
