"""One container: from its specification to a process, and from the process's end to a termination message."""

import asyncio
import logging
import secrets
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from rekindle_dev.node import environment, quantity, volumes
from rekindle_dev.node.apiserver import UNREACHABLE, ApiError, ApiServer, Object
from rekindle_dev.node.events import EventRecorder
from rekindle_dev.node.images import Images, UnknownImageError, command_line
from rekindle_dev.node.logs import LogFile, LogStream, last_words
from rekindle_dev.node.process import Process
from rekindle_dev.node.processtable import MARKER, kill_marked
from rekindle_dev.node.sources import MissingError
from rekindle_dev.node.states import Container, Running, Terminated, Waiting, all_containers, now
from rekindle_dev.node.stopping import Stop, first

_LONGEST_MESSAGE = 4096  # bytes, of one container
_LONGEST_MESSAGES = 12 * 1024  # bytes, of all containers of a pod
_FIRST_RETRY, _LAST_RETRY = 0.25, 2.0  # seconds between looks for something missing
_FIRST_BACK_OFF, _LAST_BACK_OFF = 10.0, 300.0  # seconds between starts
_STREAM_GRACE = 5.0  # seconds that a killed container's output may take to arrive
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Facilities:
    """What the node gives to each of its pods."""

    api: ApiServer
    images: Images
    events: EventRecorder
    instance: str
    """Identifies the run of the node program."""


@dataclass(frozen=True)
class Surroundings:
    """What the containers of one pod share."""

    node: Facilities
    folder: Path
    volumes: Mapping[str, Path]
    pod: Callable[[], Object]
    """Returns the pod as it is now."""
    stop: Stop


@dataclass(frozen=True)
class _Start:
    command: list[str]
    environment: dict[str, str]
    folder: Path
    message_file: Path


class ContainerRunner:
    """Runs one container until it has ended for good or the pod is stopped."""

    def __init__(self, known: Container, surroundings: Surroundings, report: Callable[[Container], None]) -> None:
        self.known = known
        self._around = surroundings
        self._report = report
        self._out_of_memory = False
        self._id = ""
        self.pid: int | None = None
        """The running process."""
        self.log: LogFile | None = None
        """The log of the latest start."""

    @property
    def memory_limit(self) -> int | None:
        """Bytes that the container may use."""
        limit = self._spec().get("resources", {}).get("limits", {}).get("memory")
        return quantity.whole(limit) if limit is not None else None

    def exceed_memory(self) -> None:
        """Kill the container for using more memory than it may."""
        self._out_of_memory = True
        kill_marked(self._mark())

    async def run(self) -> None:
        """Start the container, and start it again as the restart policy says: at once, then after growing pauses."""
        pause = 0.0
        end = None
        while start := await self._prepare():
            end = await self._execute(start)
            if not self._starts_again(end) or await self._backs_off(pause, end):
                break
            pause = min(max(2 * pause, _FIRST_BACK_OFF), _LAST_BACK_OFF)
            self.known = replace(self.known, last=end, restarts=self.known.restarts + 1)
        if end:
            self._show(replace(self.known, state=end))

    async def _backs_off(self, seconds: float, end: Terminated) -> bool:
        """Wait before the next start; return whether the pod is stopped instead."""
        if seconds:
            metadata = self._around.pod()["metadata"]
            message = (
                f"back-off {seconds:.0f}s restarting failed container={self.known.name} "
                f"pod={metadata['name']}_{metadata['namespace']}({metadata['uid']})"
            )
            self._show(replace(self.known, state=Waiting("CrashLoopBackOff", message), last=end))
        return await self._around.stop.asked_within(seconds)

    async def _prepare(self) -> _Start | None:
        """Return what to start as soon as all of it is there; None when the pod is stopped first."""
        pause, again = _FIRST_RETRY, False
        while not self._around.stop.asked.is_set():
            try:
                start = await self._gather()
                return None if self._around.stop.asked.is_set() else start
            except UnknownImageError as error:
                self._show(replace(self.known, state=error.waiting(again=again)))
            except MissingError as error:
                self._show(replace(self.known, state=Waiting("CreateContainerConfigError", str(error))))
            except (ApiError, *UNREACHABLE) as error:
                _log.warning("container waits container=%s error=%s", self.known.name, error)
            again = True
            await self._around.stop.asked_within(pause)
            pause = min(2 * pause, _LAST_RETRY)
        return None

    async def _gather(self) -> _Start:
        around, spec, pod = self._around, self._spec(), self._around.pod()
        entry_point = around.node.images.entry_point(spec)
        variables = await environment.resolve(around.node.api, pod, spec)
        home = around.folder / "home" / self.known.name
        home.mkdir(parents=True, exist_ok=True)
        message_file = around.folder / "termination" / self.known.name
        message_file.parent.mkdir(exist_ok=True)
        message_file.write_bytes(b"")
        folders = {**volumes.mounts(spec, around.volumes), spec["terminationMessagePath"]: message_file}
        self._id = secrets.token_hex(32)
        return _Start(
            [environment.expand(word, variables) for word in command_line(entry_point, spec)],
            environment.of_image(home, pod["spec"].get("hostname") or pod["metadata"]["name"])
            | {name: environment.relocate(value, folders) for name, value in variables.items()}
            | {MARKER: self._mark()},
            Path(environment.relocate(spec["workingDir"], folders)) if spec.get("workingDir") else home,
            message_file,
        )

    async def _execute(self, start: _Start) -> Terminated:
        log = LogFile(self._around.folder / "logs" / self.known.name / f"{self.known.restarts}.log")
        streams = LogStream(log, "stdout"), LogStream(log, "stderr")
        identity = f"process://{self._id}"
        self.log = log
        self._out_of_memory = False
        self.known = replace(
            self.known, container_id=identity, image_id=self._around.node.images.image_id(self._spec())
        )
        try:
            process = Process(start.command, start.environment, start.folder)
        except (OSError, ValueError) as error:
            log.close()
            return _not_started(start.command[0], error, identity)
        transports = await process.read(*streams)
        self.pid = process.pid
        began = now()
        self._show(replace(self.known, state=Running(began)))
        try:
            code = await self._until_end(process)
        finally:
            self.pid = None
            while kill_marked(self._mark()):  # noqa: ASYNC110 - only the process table tells when they are gone
                await asyncio.sleep(0.005)
            await asyncio.wait([asyncio.create_task(stream.ended()) for stream in streams], timeout=_STREAM_GRACE)
            for transport in transports:
                transport.close()
            log.close()
        reason = "OOMKilled" if self._out_of_memory else "Error" if code else "Completed"
        message = self._message(start.message_file, log.path, code)
        return Terminated(code, reason, message, began, now(), identity)

    async def _until_end(self, process: Process) -> int:
        """Return the exit code; a stopped pod's process gets SIGTERM and, when the grace is over, SIGKILL."""
        end = asyncio.create_task(process.wait())
        stop = self._around.stop
        try:
            await first(stop.asked, until=end)
            if not end.done():
                process.send(signal.SIGTERM)
                await first(stop.forced, until=end)
        finally:
            if not end.done():
                process.send(signal.SIGKILL)
        return await end

    def _message(self, file: Path, log: Path, code: int) -> str:
        spec, pod = self._spec(), self._around.pod()
        limit = min(_LONGEST_MESSAGE, _LONGEST_MESSAGES // len(all_containers(pod)))
        try:
            message = file.read_bytes()[-limit:]
        except OSError:  # the container removed or replaced it
            message = b""
        if not message and code and spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            message = last_words(log)
        return message.decode(errors="replace")

    def _starts_again(self, end: Terminated) -> bool:
        pod = self._around.pod()
        policy = pod["spec"].get("restartPolicy", "Always")
        is_init = any(c["name"] == self.known.name for c in pod["spec"].get("initContainers", []))
        return (policy != "Never" and end.exit_code != 0) or (policy == "Always" and not is_init)

    def _show(self, known: Container) -> None:
        self.known = known
        self._report(known)

    def _spec(self) -> Object:
        return next(c for c in all_containers(self._around.pod()) if c["name"] == self.known.name)

    def _mark(self) -> str:
        return f"{self._around.node.instance}/{self._id}"


def _not_started(program: str, error: Exception, identity: str) -> Terminated:
    text = (
        f'exec: "{program}": executable file not found in $PATH' if isinstance(error, FileNotFoundError) else str(error)
    )
    message = f"failed to start the container's process: {text}"
    return Terminated(128, "StartError", message, "1970-01-01T00:00:00Z", now(), identity)
