"""Time to live after the end, by outcome, on the real API server."""

import pytest

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("process_node")]


@pytest.fixture
def api(shared_api):
    return shared_api


def test_a_job_that_succeeded_is_deleted_with_all_that_belongs_to_it(api, eventually):
    api.engine("complete")
    api.restore(ttlSecondsAfterSucceeded=1, ttlSecondsAfterFailed=3600)
    api.until_gone("restorejobs", "photo")
    eventually(lambda: not api.items("jobs") and not api.items("pods"))
    eventually(lambda: ("Normal", "Completed") in api.notices())


def test_a_job_that_failed_is_deleted_by_its_own_time(api):
    api.engine("exit=11")
    api.restore(ttlSecondsAfterSucceeded=3600, ttlSecondsAfterFailed=1)
    api.until_gone("restorejobs", "photo")


def test_a_cancelled_job_is_deleted_like_one_that_failed(api):
    api.restore(ttlSecondsAfterFailed=0, ttlSecondsAfterSucceeded=3600)
    api.until_waiting("EngineNotFound")
    api.patch("restorejobs", "photo", {"spec": {"cancel": True}})
    api.until_gone("restorejobs", "photo")


def test_a_time_for_the_other_outcome_deletes_nothing(api):
    api.engine("complete")
    api.restore("kept", ttlSecondsAfterFailed=0)
    api.restore("goes", ttlSecondsAfterSucceeded=1)
    api.until_finished("kept")
    api.until_gone("restorejobs", "goes")
    assert api.status("kept")["phase"] == "Succeeded"


def test_a_time_that_is_set_after_the_end_counts_from_the_end(api):
    api.engine("complete")
    api.restore()
    api.until_finished()
    api.patch("restorejobs", "photo", {"spec": {"ttlSecondsAfterSucceeded": 0}})
    api.until_gone("restorejobs", "photo")


def test_a_time_that_is_taken_back_keeps_the_job(api):
    api.engine("complete")
    api.restore("kept", ttlSecondsAfterSucceeded=10)
    api.restore("goes", ttlSecondsAfterSucceeded=11)
    api.until_finished("kept")
    api.patch("restorejobs", "kept", {"spec": {"ttlSecondsAfterSucceeded": None}})
    api.until_gone("restorejobs", "goes")
    api.until(lambda status: status["observedGeneration"] == 2, "kept")


def test_a_restarted_operator_deletes_what_is_due(api, shared_operator):
    api.engine("complete")
    api.restore(ttlSecondsAfterSucceeded=10)
    api.until_finished()
    shared_operator.kill()
    shared_operator.start()
    api.until_gone("restorejobs", "photo")


def test_a_job_that_was_made_anew_under_the_same_name_is_not_deleted_for_the_old_one(api):
    api.engine("complete")
    api.restore(ttlSecondsAfterSucceeded=10)
    api.restore("mark", ttlSecondsAfterSucceeded=11)
    api.until_finished()
    api.delete("restorejobs", "photo")
    api.until_gone("restorejobs", "photo")
    again = api.restore()
    assert api.until_finished()["phase"] == "Succeeded"
    api.until_gone("restorejobs", "mark")
    assert api.get("restorejobs", "photo")["metadata"]["uid"] == again["metadata"]["uid"]


def test_animations_have_a_time_to_live_too(api):
    api.engine("complete", operations=["Animate"])
    api.animate(ttlSecondsAfterSucceeded=0)
    api.until_gone("animationjobs", "film")


def test_the_results_of_a_deleted_job_stay_in_the_object_store(api, object_store, bucket):
    client = object_store.client()
    client.put_object(Bucket=bucket, Key="results/photo/manifest.json", Body=b"{}")
    api.engine("complete")
    where = {"bucket": bucket, "prefix": "results/photo"}
    api.restore(ttlSecondsAfterSucceeded=0, output=where)
    api.until_gone("restorejobs", "photo")
    [kept] = client.list_objects_v2(Bucket=bucket)["Contents"]
    assert kept["Key"] == "results/photo/manifest.json"
    client.delete_object(Bucket=bucket, Key=kept["Key"])
    client.close()
