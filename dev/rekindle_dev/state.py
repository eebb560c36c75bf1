"""The folder of one running stack: who may use it, how to reach what runs, and how to end it from elsewhere.

A stack that runs holds a lock on its folder. The kernel frees the lock however the stack ends, so a folder whose lock
is free belongs to nobody: its stack was ended or crashed, and what it wrote is stale.
"""

import fcntl
import json
import os
import secrets
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

_LOCK = "stack.lock"
_RECORD = "stack.json"
_STOP_SECONDS = 60.0


class StateError(RuntimeError):
    """A folder cannot be used, or a stack cannot be ended. The message says why."""


@dataclass(frozen=True)
class Record:
    """How to reach a stack, as it is kept in its folder; for its owner's eyes only."""

    pid: int
    kubeconfig: str
    namespace: str
    api: str
    supabase_url: str
    supabase_publishable_key: str
    supabase_secret_key: str
    supabase_webhook_secret: str
    s3_endpoint: str
    s3_bucket: str
    s3_access_key_id: str
    s3_secret_access_key: str
    database_url: str


def state_directory() -> Path:
    """Return the folder of all stacks: $XDG_STATE_HOME/rekindle, else ~/.local/state/rekindle."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "state") / "rekindle"


def new_directory() -> Path:
    """Return the path of a folder for a new stack."""
    return state_directory() / f"stack-{secrets.token_hex(3)}"


@contextmanager
def occupied(directory: Path) -> Iterator[None]:
    """Hold a folder while a stack runs in it. It is emptied before, and gone afterwards unless an error needs its logs.

    Raises:
        StateError: if a stack runs there, or the folder holds anything but a stack's leftovers.
    """
    if directory.is_dir() and any(directory.iterdir()) and not (directory / _LOCK).exists():
        raise StateError(f"{directory} holds files that are not ours: name an empty or new folder.")
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (directory / _LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(
                f"A stack runs in {directory} already. End it with `rekindle-dev down {directory}`, or name another "
                "folder."
            ) from None
        _empty(directory)
        (directory / _RECORD).write_text(json.dumps({"pid": os.getpid()}))
        keep = False
        try:
            yield
        except Exception:
            keep = True
            raise
        finally:
            if not keep:
                shutil.rmtree(directory, ignore_errors=True)


def write_record(directory: Path, record: Record) -> None:
    """Keep how to reach the stack in its folder."""
    path = directory / f"{_RECORD}.new"
    path.touch(mode=0o600)
    path.write_text(json.dumps(asdict(record), indent=2))
    path.replace(directory / _RECORD)


def is_running(directory: Path) -> bool:
    """Whether a stack runs in the folder."""
    try:
        with (directory / _LOCK).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def known_stacks() -> list[Path]:
    """Return the folders of all stacks, those of crashed ones included."""
    return sorted(path.parent for path in state_directory().glob(f"stack-*/{_LOCK}"))


def remove_stale() -> list[Path]:
    """Remove what crashed stacks have left in the folder of all stacks, and return which."""
    stale = [path for path in known_stacks() if not is_running(path)]
    for path in stale:
        shutil.rmtree(path, ignore_errors=True)
    return stale


def end(directory: Path) -> str:
    """End the stack that runs in a folder, or clear what a crashed one left; return what was done, in a sentence.

    Raises:
        StateError: if there is no stack's folder, or the stack does not end.
    """
    if not (directory / _LOCK).exists():
        raise StateError(f"There is no stack in {directory}.")
    if not is_running(directory):
        shutil.rmtree(directory, ignore_errors=True)
        return f"The stack in {directory} had crashed; what it left is removed."
    pid = int(json.loads((directory / _RECORD).read_text())["pid"])
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        if _wait_until_free(directory):
            shutil.rmtree(directory, ignore_errors=True)
            return f"The stack in {directory} has ended."
    raise StateError(f"The stack in {directory} (process {pid}) does not end.")


def _wait_until_free(directory: Path) -> bool:
    deadline = time.monotonic() + _STOP_SECONDS
    while is_running(directory):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        if path.name == _LOCK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
