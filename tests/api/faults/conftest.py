"""Web servers and sweeps that kill themselves at a place, beside a server that does not."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.api import forked

from rekindle_dev.ports import free_ports

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api

    from rekindle_dev.controlplane import ControlPlane


@dataclass
class Mortals:
    """Starts processes of the service that end themselves."""

    environment: dict[str, str]
    directory: Path
    processes: list[ForkServerProcess] = field(default_factory=list)

    def start(self, point: str | None, *arguments: str, **environment: str) -> ForkServerProcess:
        """Start the service's command with the fault point."""
        doomed = {} if point is None else {"REKINDLE_FAULT_POINT": point}
        log = self.directory / f"{len(self.processes)}.log"
        process = forked.start(list(arguments), {**os.environ, **self.environment, **environment, **doomed}, log)
        self.processes.append(process)
        return process

    def said(self, process: ForkServerProcess) -> str:
        """Return what a process printed."""
        return (self.directory / f"{self.processes.index(process)}.log").read_text()

    @asynccontextmanager
    async def server(self, point: str, **environment: str) -> AsyncIterator[str]:
        """Serve until a request reaches the fault point; the block must make one."""
        [port] = free_ports(1)
        process = self.start(point, "serve", "--port", str(port), **environment)
        url = f"http://127.0.0.1:{port}"
        async with asyncio.timeout(90), httpx.AsyncClient(timeout=60) as http:
            while True:
                assert process.is_alive(), self.said(process)
                try:
                    await http.get(f"{url}/healthz")
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
                else:
                    break
        yield url
        assert await self.end_of(process) == -signal.SIGKILL, self.said(process)

    async def end_of(self, process: ForkServerProcess) -> int:
        """Wait for the end of a process; return its exit status."""
        await asyncio.to_thread(process.join, 60)
        assert process.exitcode is not None, self.said(process)
        return process.exitcode

    async def dying(
        self, point: str, account: "Account", method: str, path: str, **request: Any
    ) -> httpx.Response | None:
        """Make a request that kills its server; return the reply if one came before."""
        headers = {"Authorization": f"Bearer {account.token}", **request.pop("headers", {})}
        async with self.server(point) as url, httpx.AsyncClient(base_url=url, timeout=60) as http:
            try:
                return await http.request(method, path, headers=headers, **request)
            except httpx.TransportError:
                return None

    async def sweep(self, point: str | None = None, **environment: str) -> int:
        """Run the sweep, for which everything that can be over is over; return its exit status."""
        at_once = {"PENDING_UPLOAD_SECONDS": "0", "DELETION_QUIET_SECONDS": "0"}
        return await self.end_of(self.start(point, "sweep", **at_once, **environment))


@pytest.fixture
def mortals(api: "Api", control_plane: "ControlPlane", namespace: str, tmp_path: Path) -> Iterator[Mortals]:
    """Processes with the database, bucket and issuer of `api`."""
    settings = api.app.state.settings
    environment = {
        "DATABASE_URL": settings.database.database_url.get_secret_value(),
        "S3_BUCKET": api.bucket,
        "S3_ENDPOINT_URL": settings.storage.s3_endpoint_url,
        "SUPABASE_URL": settings.auth.supabase_url,
        "KUBECONFIG": str(control_plane.kubeconfig),
        "REKINDLE_NAMESPACE": namespace,
    }
    made = Mortals(environment, tmp_path)
    yield made
    for process in made.processes:
        process.kill()
        process.join()
        process.close()
