"""Which work belongs to which operation of a task."""

from collections.abc import Callable, Mapping

from rekindle_crds import ExitCode, Operation, Task
from rekindle_worker.animation.work import Animation
from rekindle_worker.failure import WorkFailed
from rekindle_worker.restoration import Restoration
from rekindle_worker.work import Work

OPERATIONS: Mapping[Operation, Callable[[Task], Work]] = {
    Operation.RESTORE: lambda task: Restoration(task.restore),
    Operation.ANIMATE: lambda task: Animation(task.animation),
}
"""Every operation that this engine offers."""


def work_for(task: Task) -> Work:
    """Return the work that a task asks for.

    Raises:
        WorkFailed: `InvalidTask` when this engine does not offer it.
    """
    if task.operation not in OPERATIONS:
        offered = ", ".join(OPERATIONS)
        raise WorkFailed(ExitCode.INVALID_TASK, f"this engine can't do {task.operation.value}; it offers {offered}")
    return OPERATIONS[task.operation](task)
