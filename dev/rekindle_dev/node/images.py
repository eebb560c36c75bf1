"""Images that the node knows: each is a command of this machine that stands for the image's entry point."""

import hashlib
from collections.abc import Mapping, Sequence

from rekindle_dev.node.apiserver import Object
from rekindle_dev.node.scripts import Script
from rekindle_dev.node.states import Waiting, all_containers


class UnknownImageError(Exception):
    """The image of a container stands for no command here."""

    def __init__(self, image: str, known: Sequence[str], *, may_pull: bool) -> None:
        self.image = image
        self.may_pull = may_pull
        names = ", ".join(known) or "none"
        super().__init__(f'image "{image}" not found: this process node pulls nothing, it knows {names}')

    def waiting(self, *, again: bool) -> Waiting:
        """Return the state of the container that waits for the image, after the first try or a later one."""
        if not self.may_pull:
            message = f'Container image "{self.image}" is not present with pull policy of Never'
            return Waiting("ErrImageNeverPull", message)
        if again:
            return Waiting("ImagePullBackOff", f'Back-off pulling image "{self.image}": ErrImagePull: {self}')
        return Waiting("ErrImagePull", str(self))


class Images:
    """Commands, and scripts of idle pods, by image name."""

    def __init__(self, commands: Mapping[str, Sequence[str]], scripts: Mapping[str, Script] | None = None) -> None:
        self._commands = {_full_name(name): tuple(command) for name, command in commands.items()}
        self._scripts = {_full_name(name): script for name, script in (scripts or {}).items()}
        self._names = sorted(commands)

    def script(self, pod: Object) -> Script | None:
        """Return what plays a pod of one container; None for a pod that runs commands."""
        containers = all_containers(pod)
        return self._scripts.get(_full_name(containers[0]["image"])) if len(containers) == 1 else None

    def entry_point(self, container: Object) -> tuple[str, ...]:
        """Return the command that stands for the entry point of a container's image.

        Raises:
            UnknownImageError: when there is none.
        """
        command = self._commands.get(_full_name(container["image"]))
        if command is None:
            may_pull = container.get("imagePullPolicy") != "Never"
            raise UnknownImageError(container["image"], self._names, may_pull=may_pull)
        return command

    def image_id(self, container: Object) -> str:
        """Return the identity of a known image."""
        return f"sha256:{hashlib.sha256(repr(self.entry_point(container)).encode()).hexdigest()}"


def command_line(entry_point: Sequence[str], container: Object) -> list[str]:
    """Return what a container runs: its own command or the image's, then its arguments."""
    return [*(container.get("command") or entry_point), *container.get("args", [])]


def _full_name(image: str) -> str:
    first, slash, _ = image.partition("/")
    if not slash:
        image = f"docker.io/library/{image}"
    elif "." not in first and ":" not in first and first != "localhost":
        image = f"docker.io/{image}"
    return image if ":" in image.rpartition("/")[2] else f"{image}:latest"
