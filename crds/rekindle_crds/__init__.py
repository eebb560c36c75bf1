"""The contract between Rekindle's rooms: custom resources, and the worker's task, progress and result.

Models and pure functions on them live here; the YAML beside this package and docs/reference are generated from them.
No I/O, no Kubernetes client and no other room may be imported.
"""

from rekindle_crds.animation import AnimationJob, AnimationJobSpec, AnimationParameters, AnimationSource
from rekindle_crds.engine import Engine, EngineSpec, EngineStatus, Operation, Speed
from rekindle_crds.exits import ExitCode
from rekindle_crds.labels import Label
from rekindle_crds.meta import GROUP, VERSION, Condition, ObjectMeta
from rekindle_crds.reasons import Reason
from rekindle_crds.restore import RestoreJob, RestoreJobSpec, RestoreParameters
from rekindle_crds.s3 import OutputLocation, SourceLocation
from rekindle_crds.status import (
    Attempt,
    JobStatus,
    Output,
    OutputName,
    Phase,
    Progress,
    Provenance,
    Result,
    Run,
    Suspension,
    Waiting,
)
from rekindle_crds.task import Manifest, ProgressLine, StepRecord, Task, TerminationMessage
from rekindle_crds.watermark import WatermarkText

__all__ = [
    "GROUP",
    "VERSION",
    "AnimationJob",
    "AnimationJobSpec",
    "AnimationParameters",
    "AnimationSource",
    "Attempt",
    "Condition",
    "Engine",
    "EngineSpec",
    "EngineStatus",
    "ExitCode",
    "JobStatus",
    "Label",
    "Manifest",
    "ObjectMeta",
    "Operation",
    "Output",
    "OutputLocation",
    "OutputName",
    "Phase",
    "Progress",
    "ProgressLine",
    "Provenance",
    "Reason",
    "RestoreJob",
    "RestoreJobSpec",
    "RestoreParameters",
    "Result",
    "Run",
    "SourceLocation",
    "Speed",
    "StepRecord",
    "Suspension",
    "Task",
    "TerminationMessage",
    "Waiting",
    "WatermarkText",
]
