"""A bridge between a database, a bucket and a namespace of its own, with hands that play user, operator and worker."""

import asyncio
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from kubernetes.aio import client, config
from tests.loops import connections_closed

from rekindle_api.attempts.models import AnimationAttempt, RestoreAttempt
from rekindle_api.attempts.repository import A
from rekindle_api.attempts.states import cancel
from rekindle_api.bridge.cluster import Cluster, ClusterUnavailableError, Resources
from rekindle_api.bridge.inbox import Inbox
from rekindle_api.bridge.listener import listen
from rekindle_api.bridge.metrics import Metrics
from rekindle_api.bridge.recorder import Recorder
from rekindle_api.bridge.relay import Relay
from rekindle_api.bridge.repair import Repair
from rekindle_api.bridge.resources import ANIMATION, KINDS, RESTORE, JobRules, Kind
from rekindle_api.bridge.settings import BridgeSettings, SweepSettings
from rekindle_api.bridge.sweep import Sweep
from rekindle_api.bridge.watch import ResourceWatch
from rekindle_api.database import Database, new_id
from rekindle_api.outbox.models import OUTBOX_CHANNEL, AttemptKind, OutboxEntry
from rekindle_api.outbox.repository import OutboxRepository
from rekindle_api.photos.models import Photo, UploadSession, photo_prefix
from rekindle_api.settings import DatabaseSettings, StorageSettings, read
from rekindle_api.storage import ObjectStorage
from rekindle_api.users.models import User
from rekindle_crds import (
    GROUP,
    VERSION,
    Condition,
    JobStatus,
    Manifest,
    Output,
    OutputName,
    Phase,
    Progress,
    Provenance,
    Result,
    SourceLocation,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from rekindle_dev.controlplane import ControlPlane
    from rekindle_dev.s3 import ObjectStore

T = TypeVar("T")
POD = "0f0f0f0f-0000-4000-8000-000000000001"
PROVENANCE = Provenance(engine="classical", version="test 1")
_FILES = {
    AttemptKind.RESTORE: (
        (OutputName.RESULT, "result.jpg", b"result"),
        (OutputName.PREVIEW, "preview.webp", b"preview"),
        (OutputName.THUMBNAIL, "thumbnail.webp", b"thumbnail"),
    ),
    AttemptKind.ANIMATION: (
        (OutputName.RESULT, "result.mp4", b"result"),
        (OutputName.PREVIEW, "preview.webp", b"preview"),
        (OutputName.POSTER, "poster.jpg", b"poster"),
    ),
}
_WATERMARKED_FILES = {
    AttemptKind.RESTORE: (
        (OutputName.WATERMARKED_RESULT, "watermarked-result.jpg", b"marked result"),
        (OutputName.WATERMARKED_PREVIEW, "watermarked-preview.webp", b"marked preview"),
    ),
    AttemptKind.ANIMATION: (
        (OutputName.WATERMARKED_RESULT, "watermarked-result.mp4", b"marked result"),
        (OutputName.WATERMARKED_PREVIEW, "watermarked-preview.mp4", b"marked preview"),
        (OutputName.WATERMARKED_POSTER, "watermarked-poster.jpg", b"marked poster"),
    ),
}


async def _until(look: Callable[[], Awaitable[T | None]], seconds: float = 60.0) -> T:
    """Look again and again until there is something to see. An API server that starts is borne with."""
    deadline = time.monotonic() + seconds
    seen: object = None
    while time.monotonic() < deadline:
        try:
            if answer := await look():
                return answer
            seen = answer
        except ClusterUnavailableError as error:
            seen = error
        await asyncio.sleep(0.03)
    pytest.fail(f"still {seen!r} after {seconds:.0f} s")


def _condition(kind: str, status: str, reason: str, message: str = "") -> Condition:
    return Condition.model_validate(
        {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": datetime.now(UTC)}
    )


@dataclass
class World:
    """Everything around a bridge."""

    namespace: str
    bucket: str
    database_url: str
    database: Database
    storage: ObjectStorage
    cluster: Cluster
    objects: "client.CustomObjectsApi"
    s3: "S3Client"
    settings: BridgeSettings
    environment: dict[str, str]
    directory: Path
    metrics: Metrics = field(default_factory=Metrics)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    async def until(self, look: Callable[[], Awaitable[T | None]]) -> T:
        return await _until(look)

    # The user's part

    async def photo(self) -> Photo:
        photo_id = new_id()
        async with self.database.transaction() as session:
            owner = User(id=new_id(), supabase_user_id=new_id())
            session.add(owner)
            await session.flush()
            prefix = photo_prefix(owner.id, photo_id)
            photo = Photo(
                id=photo_id,
                owner_id=owner.id,
                status="ready",
                bucket=self.bucket,
                original_key=f"{prefix}original",
                thumbnail_key=f"{prefix}thumbnail.webp",
                sha256=hashlib.sha256(photo_id.bytes).hexdigest(),
                size_bytes=3,
                media_type="image/jpeg",
                width=1,
                height=1,
            )
            session.add(photo)
            await session.flush()
            session.add(UploadSession(id=photo_id, owner_id=owner.id))
        for key in (photo.original_key, photo.thumbnail_key):
            self.put(str(key), b"abc")
        return photo

    async def restore(self, photo: Photo | None = None, **changes: Any) -> RestoreAttempt:
        """Ask for a restoration, as the API does: the attempt and its order in one transaction."""
        photo = photo or await self.photo()
        attempt_id = new_id()
        values: dict[str, Any] = {
            "id": attempt_id,
            "job_id": photo.id,
            "owner_id": photo.owner_id,
            "requested": {},
            "parameters": {"denoise": 40},
            "request_digest": attempt_id.hex,
            "bucket": self.bucket,
            "source_key": photo.original_key,
            "output_prefix": f"{photo_prefix(photo.owner_id, photo.id)}attempts/{attempt_id}",
        }
        async with self.database.transaction() as session:
            attempt = RestoreAttempt(**(values | changes))
            session.add(attempt)
            await session.flush()
            await OutboxRepository(session).ask_for_creation(AttemptKind.RESTORE, attempt_id)
        return attempt

    async def animate(
        self, source: RestoreAttempt | None = None, photo: Photo | None = None, **changes: Any
    ) -> AnimationAttempt:
        """Ask for an animation, as the API does: of a restoration that runs, else of a photo's original."""
        if photo is None and source is None:
            photo = await self.photo()
        attempt_id = new_id()
        values: dict[str, Any] = {
            "id": attempt_id,
            "job_id": source.job_id if source else photo and photo.id,
            "owner_id": source.owner_id if source else photo and photo.owner_id,
            "requested": {},
            "parameters": {"durationSeconds": 4, "resolution": "480p"},
            "request_digest": attempt_id.hex,
            "bucket": self.bucket,
            "source_key": photo.original_key if photo and not source else None,
            "restore_id": source.id if source else None,
        }
        values["output_prefix"] = f"{photo_prefix(values['owner_id'], values['job_id'])}attempts/{attempt_id}"
        async with self.database.transaction() as session:
            attempt = AnimationAttempt(**(values | changes))
            session.add(attempt)
            await session.flush()
            await OutboxRepository(session).ask_for_creation(AttemptKind.ANIMATION, attempt_id)
        return attempt

    async def ask(self, kind: AttemptKind) -> Any:
        """Ask for an attempt of a kind."""
        return await (self.restore() if kind is AttemptKind.RESTORE else self.animate())

    async def cancel(self, attempt: A) -> None:
        async with self.database.transaction() as session:
            await cancel(session, type(attempt), attempt.id)

    async def row(self, attempt: A) -> A | None:
        async with self.database.transaction() as session:
            return await session.get(type(attempt), attempt.id)

    async def seen(self, attempt: A, status: str, reason: str | None = None) -> A:
        """Wait until the attempt has this status, and reason if one is given."""

        async def look() -> A | None:
            row = await self.row(attempt)
            fits = row is not None and row.status == status and reason in {None, row.reason}
            return row if fits else None

        return await _until(look)

    async def order(self, attempt: RestoreAttempt | AnimationAttempt) -> OutboxEntry | None:
        async with self.database.transaction() as session:
            return await session.get(OutboxEntry, attempt.id)

    async def carried_out(self, attempt: RestoreAttempt | AnimationAttempt) -> None:
        """Wait until nothing is ordered for the attempt any more."""

        async def look() -> bool:
            return await self.order(attempt) is None

        await _until(look)

    async def change(self, row: Any, **values: Any) -> None:
        """Set columns behind everybody's back, such as a time that has passed."""
        async with self.database.transaction() as session:
            kept = await session.get(type(row), row.attempt_id if isinstance(row, OutboxEntry) else row.id)
            assert kept is not None
            for name, value in values.items():
                setattr(kept, name, value)

    # The operator's part

    async def resources(self) -> list[dict[str, Any]]:
        """Return every resource that belongs to an attempt, of each kind."""
        listed = [self.cluster.of(kind).pages() for kind in KINDS.values()]
        return [item for pages in listed async for page in pages for item in page.resources]

    @staticmethod
    def kind(attempt: Any) -> Kind[Any]:
        return RESTORE if isinstance(attempt, RestoreAttempt) else ANIMATION

    def those_of(self, attempt: Any) -> Resources:
        """Return the resources of the attempt's kind."""
        return self.cluster.of(self.kind(attempt))

    def name(self, attempt: Any) -> str:
        """Return the name of the attempt's resource."""
        return self.kind(attempt).name_of(attempt.id)

    def wire(self, attempt: Any) -> dict[str, Any]:
        """Return the resource of an attempt as the bridge makes it."""
        return self.kind(attempt).resource_of(attempt, self.namespace, JobRules(60, 60, "Rekindle"))

    async def resource(self, attempt: Any) -> dict[str, Any] | None:
        return (await self.those_of(attempt).get(self.name(attempt))).resource

    async def delete(self, attempt: Any) -> None:
        """Delete the attempt's resource behind the bridge's back."""
        assert (await self.those_of(attempt).delete(self.name(attempt))).code == 200

    async def created(self, attempt: Any) -> dict[str, Any]:
        """Wait until the attempt has a resource."""
        return await _until(lambda: self.resource(attempt))

    @staticmethod
    def running(percent: int, stage: str = "denoise") -> JobStatus:
        return JobStatus(
            observed_generation=1,
            phase=Phase.RUNNING,
            conditions=[_condition("Finished", "False", "Running"), _condition("Succeeded", "Unknown", "Running")],
            progress=Progress(percent=percent, stage=stage),
            start_time=datetime(2026, 1, 1, tzinfo=UTC),
        )

    @staticmethod
    def ended(phase: Phase, reason: str, message: str = "", result: Result | None = None) -> JobStatus:
        succeeded = "True" if phase is Phase.SUCCEEDED else "False"
        return JobStatus(
            observed_generation=1,
            phase=phase,
            conditions=[_condition("Finished", "True", reason), _condition("Succeeded", succeeded, reason, message)],
            start_time=datetime(2026, 1, 1, tzinfo=UTC),
            completion_time=datetime(2026, 1, 1, 0, 1, tzinfo=UTC),
            result=result,
        )

    async def report(self, attempt: Any, status: JobStatus) -> None:
        """Write a status as the operator does."""
        await self.objects.patch_namespaced_custom_object_status(
            GROUP,
            VERSION,
            self.namespace,
            self.kind(attempt).resource.plural,
            self.name(attempt),
            {"status": status.wire()},
            _content_type="application/merge-patch+json",
        )

    # The worker's part

    def put(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def keys(self, prefix: str = "") -> list[str]:
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [item["Key"] for item in listed.get("Contents", [])]

    def result(self, attempt: RestoreAttempt | AnimationAttempt, prefix: str | None = None) -> Result:
        """Store outputs and manifest of an attempt."""
        prefix = prefix or attempt.output_prefix
        outputs = []
        kind = self.kind(attempt).attempts
        for name, file, body in _FILES[kind] + (_WATERMARKED_FILES[kind] if attempt.watermark else ()):
            key = f"{prefix}/{POD}/{file}"
            self.put(key, body)
            digest = hashlib.sha256(body).hexdigest()
            outputs.append(
                Output(name=name, key=key, sha256=digest, bytes=len(body), width=1, height=1, media_type="image/webp")
            )
        manifest = Manifest(
            task_digest="0" * 64,
            pod_uid=POD,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            source=SourceLocation(bucket=self.bucket, key=attempt.source_key or "the/result"),
            source_sha256="0" * 64,
            source_width=1,
            source_height=1,
            outputs=outputs,
            steps=[],
            provenance=PROVENANCE,
            processing_milliseconds=1,
            warnings=["no colour"],
            unfulfilled=["colorize"],
        )
        manifest_key = f"{attempt.output_prefix}/manifest.json"
        self.put(manifest_key, manifest.model_dump_json(by_alias=True).encode())
        return Result(
            outputs=outputs,
            manifest_key=manifest_key,
            provenance=PROVENANCE,
            source_pixels=1,
            processing_milliseconds=1,
        )

    # The bridge

    def recorder(self, grace_seconds: float = 120) -> Recorder:
        return Recorder(self.database, self.storage, self.metrics, grace_seconds)

    def relay(self, settings: BridgeSettings | None = None) -> Relay:
        return Relay(self.database, self.cluster, self.recorder(), self.metrics, settings or self.settings)

    def repair(self, grace_seconds: float = 120) -> Repair:
        return Repair(self.database, self.cluster, self.recorder(grace_seconds), self.metrics)

    def sweep(self, **settings: float) -> Sweep:
        return Sweep(self.database, self.storage, self.cluster, read(SweepSettings, settings))

    @asynccontextmanager
    async def bridge(self, settings: BridgeSettings | None = None) -> AsyncIterator[Relay]:
        """Run relay, listener and watch in this process."""
        relay, recorder = self.relay(settings), self.recorder()
        inbox = Inbox(recorder.record, self.metrics)
        silence = self.settings.bridge_silence_seconds
        watches = [
            ResourceWatch(self.cluster.of(kind), recorder, inbox, self.metrics, silence) for kind in KINDS.values()
        ]
        loops = [relay.run(), listen(self.database, OUTBOX_CHANNEL, relay.wake), inbox.work()]
        loops += [watch.run() for watch in watches]
        tasks = [asyncio.create_task(loop) for loop in loops]
        try:
            await _until(_true(lambda: all(watch.listed for watch in watches)))
            yield relay
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def start(self, command: str = "bridge", **environment: str) -> subprocess.Popen[bytes]:
        """Start the real program."""
        log = (self.directory / f"{command}-{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "rekindle_api.cli", command],
            env={**os.environ, **self.environment, **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        log.close()
        self.processes.append(process)
        return process

    def said(self, process: subprocess.Popen[bytes], command: str = "bridge") -> str:
        """Return what a program printed so far."""
        return (self.directory / f"{command}-{self.processes.index(process)}.log").read_text()


def _true(check: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return check()

    return look


@pytest.fixture
def bridge_settings() -> BridgeSettings:
    """Settings for impatient tests."""
    return BridgeSettings(
        bridge_poll_seconds=0.2, bridge_claim_seconds=1.5, bridge_backoff_seconds=0.2, bridge_backoff_limit_seconds=0.5
    )


@pytest.fixture
def environment(
    monkeypatch: pytest.MonkeyPatch,
    control_plane: "ControlPlane",
    object_store: "ObjectStore",
    service_url: str,
    bucket: str,
    namespace: str,
) -> dict[str, str]:
    """The environment of the program, also set for this process."""
    variables = {
        **object_store.environment(),
        "KUBECONFIG": str(control_plane.kubeconfig),
        "DATABASE_URL": service_url,
        "S3_BUCKET": bucket,
        "S3_ENDPOINT_URL": object_store.endpoint_url,
        "REKINDLE_NAMESPACE": namespace,
        "BRIDGE_PORT": "0",
        "BRIDGE_POLL_SECONDS": "0.2",
        "BRIDGE_CLAIM_SECONDS": "1.5",
        "BRIDGE_REPAIR_SECONDS": "1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
async def world(
    environment: dict[str, str], object_store: "ObjectStore", bridge_settings: BridgeSettings, tmp_path: Path
) -> AsyncIterator[World]:
    """A bridge's surroundings, without a bridge yet."""
    database = Database(read(DatabaseSettings))
    storage = ObjectStorage(read(StorageSettings))
    namespace = environment["REKINDLE_NAMESPACE"]
    settings = client.Configuration()
    await config.load_kube_config(config_file=environment["KUBECONFIG"], client_configuration=settings)
    async with client.ApiClient(settings) as api, Cluster.connect(namespace, 10) as cluster:
        made = World(
            namespace=namespace,
            bucket=environment["S3_BUCKET"],
            database_url=environment["DATABASE_URL"],
            database=database,
            storage=storage,
            cluster=cluster,
            objects=client.CustomObjectsApi(api),
            s3=object_store.client(),
            settings=bridge_settings,
            environment=environment,
            directory=tmp_path,
        )
        yield made
        for process in made.processes:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()
        made.s3.close()
    storage.close()
    await database.close()
    # A request that the end of a bridge broke off takes leave of the API server.
    await connections_closed()
