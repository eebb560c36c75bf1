"""Which work belongs to which operation of a task."""

from collections.abc import Callable, Mapping

from rekindle_crds import Operation, Task
from rekindle_worker.animation.work import Animation
from rekindle_worker.restoration import Restoration
from rekindle_worker.work import Work

OPERATIONS: Mapping[Operation, Callable[[Task], Work]] = {
    Operation.RESTORE: lambda task: Restoration(task.restore),
    Operation.ANIMATE: lambda task: Animation(task.animation),
}
"""Every operation that this engine offers."""
