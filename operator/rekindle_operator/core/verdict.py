"""The end of a job whose attempts failed: its reason and the sentence that goes with it."""

from rekindle_crds import Phase, Reason
from rekindle_crds.exits import INPUT_FAULTS
from rekindle_operator.core.attempts import History
from rekindle_operator.core.observed import Observed
from rekindle_operator.core.status import Standing


def given_up(observed: Observed, history: History, words: str) -> Standing:
    """Return where a job stands that is not tried again: the reason of its only failure, or that all attempts failed.

    Args:
        observed: The job.
        history: Its attempts.
        words: What is said when no attempt says why it failed.
    """
    last = history.last
    reason: str = Reason.RETRIES_EXHAUSTED
    if last is None or last.reason is None:
        message = words
    elif (last.exit_code is not None and last.exit_code in INPUT_FAULTS) or history.failures <= 1:
        reason = last.reason
        message = last.message or f"Attempt {last.number} ended with {reason}."
    else:
        message = f"{history.failures} attempts failed; the last one: {last.reason}: {last.message or words}"
    return Standing(Phase.FAILED, reason, message, progress=observed.status.progress)
