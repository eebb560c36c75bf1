"""Runs the steps of a restoration over one photo, and records what each of them did."""

import time
from dataclasses import dataclass
from functools import partial

import cv2

from rekindle_crds import RestoreParameters, StepRecord
from rekindle_crds.restore import Colorization
from rekindle_worker.bench import Bench, Facts, State, shrunk
from rekindle_worker.photo import Photo
from rekindle_worker.progress import Report
from rekindle_worker.stages import ANALYSED_PIXELS, STEPS
from rekindle_worker.steps.analysis import analyse
from rekindle_worker.wishes import NO_PROMPT, words_for

SHARES = {step.name: float(step.share) for step in STEPS}
"""Every step with its usual share of the time."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restoration made, and how."""

    photo: Photo
    source_width: int
    source_height: int
    steps: tuple[StepRecord, ...]
    warnings: tuple[str, ...]
    unfulfilled: tuple[str, ...]


def restore(photo: Photo, parameters: RestoreParameters, *, threads: int, report: Report) -> Restored:
    """Restore a photo. The same photo and parameters give the same pixels on every machine of one kind.

    Args:
        photo: The photo.
        parameters: What to do, and how strongly.
        threads: How many tiles are in work at once; it does not change the result.
        report: Called between tiles with the step and how much of it is done; what it raises ends the work.
    """
    # Tiles are what runs in parallel; threads within them would only get in each other's way.
    cv2.setNumThreads(1)
    state = State(photo.pixels, analyse(shrunk(photo.pixels, ANALYSED_PIXELS)))
    records = []
    for step in STEPS:
        started = time.monotonic()
        report(step.name, 0.0)
        before, facts = state, Facts()
        if step.wanted(parameters):
            bench = Bench(parameters, threads, partial(report, step.name))
            state, facts = step.run(state, bench)
        records.append(
            StepRecord(
                name=step.name,
                applied=state.pixels is not before.pixels or state.damaged is not before.damaged,
                parameters=facts,
                milliseconds=round((time.monotonic() - started) * 1000),
            )
        )
    unmet = _unmet(parameters)
    return Restored(
        photo=Photo(state.pixels, photo.bits),
        source_width=photo.width,
        source_height=photo.height,
        steps=tuple(records),
        warnings=photo.warnings + words_for(unmet),
        unfulfilled=tuple(unmet),
    )


def _unmet(parameters: RestoreParameters) -> dict[str, str]:
    """Return what was asked for and this engine can't do: names of parameters, and why."""
    unmet = {}
    if parameters.colorize is Colorization.IF_AVAILABLE:
        unmet["colorize"] = "this engine can't add colour; the photo was restored without"
    if parameters.prompt is not None:
        unmet["prompt"] = NO_PROMPT
    return unmet
