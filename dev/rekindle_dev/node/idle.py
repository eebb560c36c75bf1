"""Pods that only seem to run: no process, no folder, a log that is made up when somebody reads it.

What each seems to do says the script that stands for its image. One node carries thousands of them.
"""

import asyncio
import secrets
from dataclasses import replace
from datetime import UTC, datetime

from rekindle_dev.node import environment
from rekindle_dev.node.apiserver import Object
from rekindle_dev.node.container import Facilities
from rekindle_dev.node.logs import LogQuery
from rekindle_dev.node.scripts import Life, Script
from rekindle_dev.node.states import Running, Terminated, from_object, now, phase
from rekindle_dev.node.status import pod_status
from rekindle_dev.node.statuswriter import StatusWriter, remove

_SIGTERM_CODE = 143


class IdlePod:
    """Plays one pod of one container; `run` returns when the pod is gone from the API."""

    def __init__(self, node: Facilities, pod: Object, script: Script) -> None:
        self.pod = pod
        self._node, self._script = node, script
        self._container = next(iter(from_object(pod).values()))
        self._conditions = {c["type"]: c for c in pod.get("status", {}).get("conditions", [])}
        self._life: Life | None = None
        self._deleted, self._gone = asyncio.Event(), asyncio.Event()
        self._writer = StatusWriter(node.api, pod)
        self.see(pod)

    def see(self, pod: Object) -> None:
        """Take note of the pod's newest form; a deleted pod ends at once."""
        self.pod = pod
        if pod["metadata"].get("deletionTimestamp"):
            self._deleted.set()

    def vanish(self) -> None:
        """End a pod that is no longer in the API."""
        self._gone.set()
        self._deleted.set()

    def log(self, query: LogQuery) -> bytes:
        """Return what the container seems to have printed until now; following ends with it too."""
        state = self._container.state
        if self._life is None or not isinstance(state, Running):
            return b""
        lines = self._life.log(_seconds_since(state.started_at)).encode().splitlines(keepends=True)
        chosen = lines if query.tail_lines is None else lines[max(0, len(lines) - query.tail_lines) :]
        return b"".join(chosen)[: query.limit_bytes]

    async def run(self) -> None:
        """Seem to run, tell the end, and remove the pod once it was deleted."""
        writing = asyncio.create_task(self._writer.run())
        try:
            if not isinstance(self._container.state, Terminated):
                await self._live()
            await self._deleted.wait()
            await self._writer.flushed()
            if not self._gone.is_set():
                await remove(self._node.api, self.pod)
            await self._gone.wait()
        finally:
            writing.cancel()

    async def _live(self) -> None:
        variables = await environment.resolve(self._node.api, self.pod, self.pod["spec"]["containers"][0])
        life = self._life = self._script(variables)
        began = self._begin()
        stopped = await self._deleted_within(life.seconds - _seconds_since(began))
        code, message = (_SIGTERM_CODE, "") if stopped else (life.exit_code, life.message)
        reason = "Error" if code else "Completed"
        end = Terminated(code, reason, message, began, now(), self._container.container_id)
        self._container = replace(self._container, state=end)
        self._publish()

    def _begin(self) -> str:
        """Return when the container started: now, or in an earlier run of the node."""
        state = self._container.state
        if not isinstance(state, Running):
            state, identity = Running(now()), f"idle://{secrets.token_hex(32)}"
            self._container = replace(self._container, state=state, container_id=identity, image_id=identity)
            self._publish()
        return state.started_at

    async def _deleted_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._deleted.wait(), max(0.0, seconds))
        except TimeoutError:
            return False
        return True

    def _publish(self) -> None:
        known = {self._container.name: self._container}
        started = self.pod.get("status", {}).get("startTime") or now()
        status = pod_status(
            self.pod,
            known,
            before=self._conditions,
            started_at=started,
            sandbox=True,
            ended=phase(self.pod, known).final,
        )
        self._conditions |= {condition["type"]: condition for condition in status["conditions"]}
        self._writer.publish(status)


def _seconds_since(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
