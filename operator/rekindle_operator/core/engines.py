"""Which Engine does a job."""

from collections.abc import Iterable

from rekindle_crds import Engine, Operation, Reason, Waiting


def choose(engines: Iterable[Engine], name: str | None, operation: Operation) -> Engine | Waiting:
    """Return the Engine for a job, or why there is none.

    Args:
        engines: All Engines of the namespace.
        name: The Engine that the job names; None for the default one.
        operation: What the Engine must offer.
    """
    if name is None:
        return _default(engines, operation)
    engine = next((engine for engine in engines if engine.metadata.name == name), None)
    if engine is None:
        return Waiting(reason=Reason.ENGINE_NOT_FOUND, message=f"There is no Engine {name} in this namespace.")
    if operation not in engine.spec.operations:
        message = f"Engine {name} does not offer {operation}; it offers {', '.join(engine.spec.operations)}."
        return Waiting(reason=Reason.ENGINE_MISMATCH, message=message)
    return engine


def _default(engines: Iterable[Engine], operation: Operation) -> Engine | Waiting:
    defaults = [engine for engine in engines if engine.spec.default and operation in engine.spec.operations]
    if not defaults:
        message = f"No Engine of this namespace is the default for {operation}, and the job names none."
        return Waiting(reason=Reason.ENGINE_NOT_FOUND, message=message)
    return min(defaults, key=lambda engine: (str(engine.metadata.creation_timestamp), engine.metadata.name))
