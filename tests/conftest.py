"""The embedded stack as fixtures: each part starts on first use, serves the whole session and ends with it."""

# ruff: noqa: PLC0415 - a part is imported only in the sessions that use it

import secrets
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from rekindle_dev.controlplane import ControlPlane
    from rekindle_dev.issuer import TokenIssuer
    from rekindle_dev.node import ProcessNode
    from rekindle_dev.postgres import PostgreSQL
    from rekindle_dev.s3 import ObjectStore

T = TypeVar("T")
CREDENTIALS = "s3-credentials"
WORKER_IMAGE = "rekindle-worker:dev"
# A machine that pauses makes any example slow.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what these tests run and the cache lacks: no test's limit of time is meant for that."""
    if session.config.option.collectonly:
        return
    from rekindle_dev import helm
    from rekindle_dev.controlplane.build import BuildError, built, cache_directory
    from rekindle_dev.controlplane.programs import PlainReport, find_programs
    from rekindle_dev.controlplane.toolchain import ToolchainError
    from rekindle_dev.stripe_mock.service import PROGRAM

    fixtures = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    files = {item.path for item in session.items}
    commands = any(item.path.parent.name == "dev" and item.get_closest_marker("stack") for item in session.items)
    try:
        with session.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            if fixtures & {"control_plane", "stack"} or commands:
                find_programs(PlainReport(), say=print)
            if "stripe_mock" in fixtures:
                built(PROGRAM, cache_directory(), PlainReport("stripe-mock"))
            if any(file.parent.name in {"charts", "docs"} or file.stem == "test_dev_helm" for file in files):
                helm.helm_binary()
    except (BuildError, ToolchainError) as error:
        pytest.exit(str(error), returncode=pytest.ExitCode.INTERNAL_ERROR)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[PostgreSQL]":
    """A PostgreSQL server; see `database_url` for a database of one's own."""
    from rekindle_dev.postgres import PostgreSQL

    with PostgreSQL.start(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[ObjectStore]":
    """An S3 service; see `bucket` for a bucket of one's own."""
    from rekindle_dev.s3 import ObjectStore

    with ObjectStore.start(tmp_path_factory.mktemp("s3")) as store:
        yield store


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[ControlPlane]":
    """A Kubernetes control plane with Rekindle's custom resources; see `namespace` for a namespace of one's own."""
    from rekindle_crds.crd import manifests
    from rekindle_dev.controlplane import ControlPlane

    with ControlPlane.start(tmp_path_factory.mktemp("control-plane"), audited=True) as plane:
        plane.apply(manifests())
        yield plane


@pytest.fixture(scope="session")
def process_node(control_plane: "ControlPlane", tmp_path_factory: pytest.TempPathFactory) -> "Iterator[ProcessNode]":
    """A node of `control_plane` that runs pods as processes, and knows the worker's image."""
    from rekindle_dev.node import ProcessNode

    images = {WORKER_IMAGE: [sys.executable, "-m", "rekindle_worker"]}
    with ProcessNode.start(control_plane.kubeconfig, tmp_path_factory.mktemp("node"), images) as node:
        yield node


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[TokenIssuer]":
    """A token issuer that speaks Supabase Auth."""
    from rekindle_dev.issuer import TokenIssuer

    with TokenIssuer.start(tmp_path_factory.mktemp("issuer")) as service:
        yield service


@pytest.fixture
def database_url(postgres: "PostgreSQL") -> Iterator[str]:
    """The URL of a fresh, empty database."""
    name = f"test_{secrets.token_hex(6)}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.fixture
def bucket(object_store: "ObjectStore") -> Iterator[str]:
    """The name of a fresh, empty bucket, deleted afterwards: the service has room for some dozens."""
    name = object_store.create_bucket(f"test-{secrets.token_hex(6)}")
    yield name
    client = object_store.client()
    client.delete_bucket(Bucket=name)
    client.close()


@pytest.fixture
def namespace(control_plane: "ControlPlane", object_store: "ObjectStore") -> Iterator[str]:
    """The name of a fresh namespace with the Secret `s3-credentials`, whose keys are the AWS environment variables."""
    name = f"test-{secrets.token_hex(6)}"
    control_plane.create_namespace(name)
    secret: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": CREDENTIALS, "namespace": name},
        "stringData": object_store.environment(),
    }
    control_plane.apply([secret])
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


class Eventually(Protocol):
    """Calls a check until it answers something true, and returns that."""

    def __call__(self, check: Callable[[], T | None], *, seconds: float = 60.0) -> T: ...


@pytest.fixture(scope="session")
def eventually() -> Eventually:
    """Poll `check` until it is true, instead of sleeping; the test fails after `seconds`."""

    def poll(check: Callable[[], T | None], *, seconds: float = 60.0) -> T:
        deadline = time.monotonic() + seconds
        while not (answer := check()):
            if time.monotonic() > deadline:
                pytest.fail(f"still {answer!r} after {seconds:.0f} s")
            time.sleep(0.05)
        return answer

    return poll
