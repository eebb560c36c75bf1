"""What was asked for and this engine can't do, in the words of its warnings."""

from collections.abc import Mapping

NO_PROMPT = "this engine takes no wishes in words; the prompt was ignored"


def words_for(unmet: Mapping[str, str]) -> tuple[str, ...]:
    """Return the warnings for parameters that were not honoured, given why."""
    return tuple(f"{name}: {why}" for name, why in unmet.items())
