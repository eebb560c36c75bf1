"""Places under maxRunning as the operator keeps count of them, and a status that the API server does not take."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from rekindle_crds import JobStatus, Phase, Reason, RestoreJob
from rekindle_operator.apply import Applier
from rekindle_operator.budget import Budget
from rekindle_operator.cache import Cache
from rekindle_operator.cluster import ApiError, Cluster
from rekindle_operator.core.observed import Policy, Refusal
from rekindle_operator.core.reconcile import reconcile
from rekindle_operator.line import Line
from rekindle_operator.memory import Key
from rekindle_operator.resources import ENGINES, JOBS

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
RESTORE_JOBS = JOBS["RestoreJob"]


class Room:
    """A namespace in the cache, with one Engine that takes one job at a time."""

    def __init__(self) -> None:
        self.cache = Cache(Policy())
        self.line = Line(self.cache)
        self._version = 0
        spec = {"operations": ["Restore"], "image": "engine:1", "default": True, "maxRunning": 1}
        self.cache.apply(ENGINES, {"metadata": self._metadata("engine"), "spec": spec})

    def _metadata(self, name: str) -> dict[str, Any]:
        self._version += 1
        created = NOON + timedelta(seconds=self._version)
        return {
            "name": name,
            "namespace": "photos",
            "uid": f"uid-{name}",
            "generation": 1,
            "resourceVersion": str(self._version),
            "creationTimestamp": created.isoformat(),
        }

    def job(self, name: str, **spec: Any) -> Key:
        where = {
            "source": {"bucket": "photos", "key": "a.jpg"},
            "output": {"bucket": "photos", "prefix": f"results/{name}"},
        }
        self.cache.apply(RESTORE_JOBS, {"metadata": self._metadata(name), "spec": {**where, **spec}})
        return Key("RestoreJob", "photos", name)

    def model(self, key: Key) -> RestoreJob:
        return RestoreJob.model_validate(self.cache.job(key))

    def may_run(self, key: Key) -> bool:
        return self.line.turn(key, self.model(key)).full is None

    def take(self, key: Key) -> None:
        [engine] = self.cache.engines("photos")
        self.line.take(key, self.model(key), engine)


def test_a_place_is_taken_from_the_moment_the_child_is_asked_for():
    room = Room()
    first = room.job("first")
    assert room.may_run(first)
    room.take(first)
    urgent = room.job("urgent", priority=9)
    assert not room.may_run(urgent)
    assert room.may_run(first)


def test_a_place_is_free_again_when_the_child_is_refused_and_asked_for_again_later():
    room = Room()
    first, second = room.job("first"), room.job("second")
    room.take(first)
    assert not room.may_run(second)
    room.cache.memory(first).refusal = Refusal(Reason.QUOTA_EXCEEDED, "no room", final=False, at=datetime.now(UTC))
    room.cache.revision["photos"] += 1
    assert room.may_run(second)
    room.cache.memory(first).refusal = Refusal(Reason.QUOTA_EXCEEDED, "no room", final=False, at=NOON)
    room.cache.revision["photos"] += 1
    assert room.may_run(first)
    assert not room.may_run(second)


def test_a_job_that_is_gone_leaves_the_place_that_it_took():
    room = Room()
    first, second = room.job("first"), room.job("second")
    room.take(first)
    room.cache.release(first)
    assert room.may_run(second)


def test_a_job_that_is_suspended_before_its_child_exists_leaves_the_place_that_it_took():
    room = Room()
    first, second = room.job("first"), room.job("second")
    room.take(first)
    room.job("first", suspend=True)
    assert room.may_run(second)


def test_a_new_leader_knows_of_no_place_that_it_gave_away_when_it_led_before():
    room = Room()
    first, urgent = room.job("first"), room.job("urgent", priority=9)
    room.take(first)
    room.line.forget()
    assert room.may_run(urgent)
    assert not room.may_run(first)


class Refusing:
    """A cluster whose schema does not know status.waiting, and takes the rest."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def write(
        self, _verb: str, _path: str, body: dict[str, Any], _kind: str, tell: Callable[[dict[str, Any]], None]
    ) -> None:
        self.asked.append(body["status"])
        if "waiting" in body["status"] and body["status"]["waiting"] is not None:
            raise ApiError(422, "Invalid", "status.waiting: unknown field")
        metadata = {"name": "photo", "namespace": "photos", "uid": "uid-photo", "resourceVersion": "99"}
        tell({"metadata": metadata, "spec": {}, "status": body["status"]})


async def test_a_status_that_the_api_server_refuses_ends_the_job_with_its_words():
    room, cluster = Room(), Refusing()
    key = room.job("photo", engineName="absent")
    applier = Applier(cast("Cluster", cluster), room.cache, Budget(10))
    observed = room.cache.observe(key)
    assert observed is not None
    told: list[JobStatus] = []
    assert await applier.write_status(key, observed, reconcile(observed, NOON).status, told.append)
    [written] = told
    assert written.phase == Phase.FAILED
    end = next(condition for condition in written.conditions if condition.type == "Succeeded")
    assert (end.status, end.reason, end.message) == ("False", "InvalidStatus", "status.waiting: unknown field")
    assert len(cluster.asked) == 2
