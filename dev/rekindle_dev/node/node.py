"""The node program: registers, serves logs, runs pods, until it is told to stop."""

import asyncio
import fcntl
import logging
import secrets
import signal
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rekindle_dev.node import access, limits, warden
from rekindle_dev.node.apiserver import ApiServer
from rekindle_dev.node.container import Facilities
from rekindle_dev.node.events import EventRecorder
from rekindle_dev.node.images import Images
from rekindle_dev.node.pods import Pods
from rekindle_dev.node.registration import Registration
from rekindle_dev.node.scripts import Script
from rekindle_dev.node.server import serve

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What a node is started with."""

    kubeconfig: Path
    directory: Path
    """Everything that the node and its pods write."""
    images: Mapping[str, Sequence[str]]
    """The command that stands for each image's entry point."""
    scripts: Mapping[str, Script] = field(default_factory=dict)
    """The script that stands for each image of idle pods."""
    name: str = "process-node"
    pods: int = 110
    """How many pods the node takes."""
    client_authority: Path | None = None
    """Certificates (PEM) that vouch for clients of the node; those of the kubeconfig when left out."""
    ready_file: Path | None = None
    """Written once the node is registered; holds the port of the node's own API."""


class StartError(Exception):
    """The node can't run as it was asked to."""


async def run(settings: Settings) -> None:
    """Run the node until SIGTERM or SIGINT; no process of a pod is left then.

    Raises:
        StartError: when the node can't run as it was asked to.
    """
    pods_folder = settings.directory / "pods"
    pods_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (settings.directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartError(f"another node runs in {settings.directory}: give this one its own directory") from error
        instance = secrets.token_hex(8)
        last_will = warden.start(instance)
        try:
            async with await ApiServer.connect(settings.kubeconfig) as api:
                images = Images(settings.images, settings.scripts)
                facilities = Facilities(api, images, EventRecorder(api, settings.name), instance)
                await _run_registered(settings, facilities, Pods(facilities, settings.name, pods_folder))
        finally:
            last_will.communicate()


async def _run_registered(settings: Settings, facilities: Facilities, pods: Pods) -> None:
    api = facilities.api
    authority = settings.client_authority.read_text() if settings.client_authority else api.authority
    if authority is None:
        raise StartError("the kubeconfig trusts no authority: give --client-ca, or nobody could ask for logs safely")
    context = access.server_context(settings.name, settings.directory, authority)
    server, port = await serve(pods, access.Gate(api, settings.name), context)
    try:
        registration = Registration(api, settings.name, port, settings.pods)
        await registration.register()
        if settings.ready_file:
            settings.ready_file.write_text(f"{port}\n")
        _log.info("node ready name=%s port=%d", settings.name, port)
        await _until_told_to_stop(
            pods.run(),
            registration.keep(),
            facilities.events.run(),
            limits.hold_memory(pods),
            limits.hold_disk(pods),
        )
        await registration.leave()
    finally:
        await server.cleanup()


async def _until_told_to_stop(*duties: Coroutine[None, None, None]) -> None:
    """Do all duties until a signal; one that ends by itself is an error and raises here."""
    loop = asyncio.get_running_loop()
    together = asyncio.gather(*duties)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, together.cancel)
    try:
        await together
    except asyncio.CancelledError:
        _log.info("node stops")
