"""The whole stack: the parts around Rekindle, and Rekindle's own programs between them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Self

from rekindle_crds.crd import manifests
from rekindle_dev import programs
from rekindle_dev.controlplane import ControlPlane
from rekindle_dev.controlplane.programs import describe, find_programs
from rekindle_dev.issuer import TokenIssuer
from rekindle_dev.node import ProcessNode
from rekindle_dev.parts import Parts, Report, join
from rekindle_dev.postgres import PostgreSQL
from rekindle_dev.processes import Child, Program
from rekindle_dev.programs import Addresses
from rekindle_dev.s3 import ObjectStore
from rekindle_dev.service import READY_SECONDS, Service
from rekindle_dev.state import Record

_CONTROL_PLANE = "Kubernetes control plane"


class Stack:
    """A running stack: a context manager that ends all of it.

    Attributes:
        postgres, object_store, issuer, control_plane, node: the parts that are not ours.
        api, bridge, operator: our own programs.
        database_url: where the API keeps its rows.
    """

    postgres: PostgreSQL
    object_store: ObjectStore
    issuer: TokenIssuer
    control_plane: ControlPlane
    node: ProcessNode
    api: Service
    bridge: Service
    operator: Service
    database_url: str

    def __init__(self, directory: Path, report: Report) -> None:
        self.directory = directory
        self._report = report
        self._parts = Parts(report)

    @classmethod
    def start(cls, directory: Path, report: Report, *, api_port: int | None = None) -> Self:
        """Start everything, with state and logs in `directory`.

        Args:
            directory: an empty folder.
            report: told how the parts come up.
            api_port: where the API shall answer; any free port when left out.

        Raises:
            PartError, BuildError, ToolchainError: what the first part that failed raised; the others are ended.
        """
        stack = cls(directory, report)
        try:
            stack._start(api_port)
        except BaseException:
            stack.close()
            raise
        return stack

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every part."""
        self._parts.close()

    def check(self) -> None:
        """Do nothing while every part runs.

        Raises:
            PartError: if one ended by itself; with the last lines of its log.
        """
        for part in (self.control_plane, self.postgres, self.object_store, self.issuer):
            part.check()
        for service in (self.api, self.bridge, self.operator):
            service.check()

    @property
    def addresses(self) -> Addresses:
        """What our programs need to know of the other parts."""
        return Addresses(
            database_url=self.database_url,
            kubeconfig=self.directory / "control-plane" / "kubeconfig",
            supabase_url=self.issuer.url,
            supabase_service_key=self.issuer.secret_key,
            supabase_webhook_secret=self.issuer.webhook_secret,
            bucket=self.object_store.bucket,
            s3=self.object_store.environment(),
        )

    def record(self) -> Record:
        """Return how to reach every part."""
        store, issuer = self.object_store, self.issuer
        return Record(
            pid=os.getpid(),
            kubeconfig=str(self.control_plane.kubeconfig),
            namespace=programs.NAMESPACE,
            api=self.api.url,
            supabase_url=issuer.url,
            supabase_publishable_key=issuer.publishable_key,
            supabase_secret_key=issuer.secret_key,
            supabase_webhook_secret=issuer.webhook_secret,
            s3_endpoint=store.endpoint_url,
            s3_bucket=store.bucket,
            s3_access_key_id=store.access_key_id,
            s3_secret_access_key=store.secret_access_key,
            database_url=self.database_url,
        )

    def _start(self, api_port: int | None) -> None:
        begin = self._parts.begin
        plane = begin(_CONTROL_PLANE, self._start_control_plane)
        postgres = begin("PostgreSQL", self._start_postgres)
        store = begin("S3", self._start_object_store)
        issuer = begin("Token issuer", self._start_issuer)
        api = begin("API", lambda: self._start_api(api_port), after=(postgres, store, issuer))
        node = begin("Process node", self._start_node, after=(plane,))
        operator = begin("Operator", self._start_operator, after=(plane, store))
        bridge = begin("Bridge", self._start_bridge, after=(plane, api))
        join((plane, postgres, store, issuer, api, node, operator, bridge))

    def _start_control_plane(self) -> None:
        found = find_programs(
            lambda progress: self._report.said(_CONTROL_PLANE, describe(progress)),
            say=lambda text: self._report.said(_CONTROL_PLANE, text),
        )
        folder = self.directory / "control-plane"
        self.control_plane = self._parts.keep(ControlPlane.start(folder, programs=found, namespace=programs.NAMESPACE))
        self.control_plane.apply(manifests())
        self.control_plane.create_namespace(programs.NAMESPACE)

    def _start_postgres(self) -> None:
        self.postgres = self._parts.keep(PostgreSQL.start(self.directory / "postgres"))
        self.database_url = self.postgres.create_database("rekindle")

    def _start_object_store(self) -> None:
        self.object_store = self._parts.keep(ObjectStore.start(self.directory / "s3"))

    def _start_issuer(self) -> None:
        self.issuer = self._parts.keep(TokenIssuer.start(self.directory / "issuer"))

    def _start_node(self) -> None:
        images = {programs.WORKER_IMAGE: programs.WORKER_COMMAND}
        node = ProcessNode.start(self.control_plane.kubeconfig, self.directory / "node", images)
        self.node = self._parts.keep(node)

    def _start_operator(self) -> None:
        s3 = self.object_store.environment()
        self.control_plane.apply([programs.secret(s3), programs.engine(s3)])
        self.operator = self._serve("operator", programs.operator)

    def _start_api(self, port: int | None) -> None:
        migration = Child.start(programs.migrate(self.addresses), self.directory / "migrate.log")
        migration.wait(seconds=READY_SECONDS)
        self.api = self._serve("api", programs.api, port)

    def _start_bridge(self) -> None:
        self.bridge = self._serve("bridge", programs.bridge)

    def _serve(self, name: str, program: Callable[[Addresses, int], Program], port: int | None = None) -> Service:
        log = self.directory / f"{name}.log"
        return self._parts.keep(Service.start(lambda number: program(self.addresses, number), log, port))
