"""The text that an engine lays over the copies it makes for those who may not have the clean result."""

from typing import Annotated

from pydantic import StringConstraints

_PRINTABLE = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"

WatermarkText = Annotated[str, StringConstraints(min_length=1, max_length=40, pattern=_PRINTABLE)]
"""One line of visible text; the font of rekindle-worker has the Latin letters."""
