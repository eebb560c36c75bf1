"""Limits of memory and disk, held by looking often: there is no cgroup and no quota around the processes of a pod."""

import asyncio

from rekindle_dev.node import volumes
from rekindle_dev.node.pods import Pods
from rekindle_dev.node.processtable import table, tree, unshared_memory

_MEMORY_PERIOD = 0.2  # seconds
_DISK_PERIOD = 1.0  # seconds


async def hold_memory(pods: Pods) -> None:
    """Kill containers that use more memory than they may, for ever."""
    while True:
        await asyncio.sleep(_MEMORY_PERIOD)
        limited = [
            (container, container.pid, limit)
            for pod in pods
            for container in pod.containers.values()
            if container.pid is not None and (limit := container.memory_limit) is not None
        ]
        processes = table() if limited else {}
        for container, pid, limit in limited:
            members = tree(processes, pid)
            # The exact figure is dear: only asked for when the rough one, which counts shared pages often, is over.
            if sum(m.resident for m in members) > limit and unshared_memory([m.pid for m in members]) > limit:
                container.exceed_memory()


async def hold_disk(pods: Pods) -> None:
    """Evict pods that use more disk than they may, for ever."""
    while True:
        await asyncio.sleep(_DISK_PERIOD)
        for pod in pods:
            if pod.containers and volumes.is_limited(pod.pod):
                message = await asyncio.to_thread(volumes.overflow, pod.pod, pod.volumes_folder)
                if message:
                    pod.evict(message)
