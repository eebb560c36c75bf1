"""Which Engine does a job, and whether it can."""

import hashlib
from collections.abc import Iterable

from rekindle_crds import Engine, Operation, Reason, Waiting
from rekindle_crds.engine import EngineSpec
from rekindle_operator.core.observed import Policy


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


def template_of(spec: EngineSpec) -> str:
    """Return what stands for all that a pod has of its Engine: it changes when a new pod would be another one."""
    decisive = spec.model_dump_json(exclude={"operations", "max_running", "default"})
    return hashlib.sha256(decisive.encode()).hexdigest()[:16]


def account_of(spec: EngineSpec) -> str:
    """Return the service account of the pods of an Engine."""
    return spec.service_account_name or "default"


def unfit(engine: Engine, policy: Policy) -> Waiting | None:
    """Return why an Engine that offers the operation cannot be used now; None when it can."""
    name, account = engine.metadata.name, account_of(engine.spec)
    if not policy.allows_account(account):
        message = f"Engine {name} uses the service account {account}, which is not allowed."
        return Waiting(reason=Reason.SERVICE_ACCOUNT_NOT_ALLOWED, message=message)
    ready = next((condition for condition in engine.status.conditions if condition.type == "Ready"), None)
    if ready is not None and ready.status == "False" and ready.observed_generation == engine.metadata.generation:
        return Waiting(reason=Reason.ENGINE_NOT_READY, message=f"Engine {name} is not ready: {ready.message}")
    return None
