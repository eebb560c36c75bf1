"""Where photos are read from and results are written to in S3."""

from typing import Annotated

from pydantic import StringConstraints

from rekindle_crds.meta import Contract

Bucket = Annotated[str, StringConstraints(min_length=3, max_length=63, pattern=r"^[a-z0-9][a-z0-9.-]*[a-z0-9]$")]
Key = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[^/\x00-\x1f][^\x00-\x1f]*$")]
# Short enough that the keys of all outputs fit in a termination message of 4096 bytes.
Prefix = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[A-Za-z0-9!_.*'()/=-]*[^/]$")]

OutputKey = Annotated[str, StringConstraints(min_length=1, max_length=400)]
"""Key of an object that an engine wrote: <prefix>/<pod uid>/<file name>."""


class SourceLocation(Contract):
    """One object in S3."""

    bucket: Bucket
    """Name of the S3 bucket."""
    key: Key
    """Key of the object in the bucket."""


class OutputLocation(Contract):
    """A folder in S3 that belongs to one job."""

    bucket: Bucket
    """Name of the S3 bucket."""
    prefix: Prefix
    """Key prefix, without a slash at its end. manifest.json is written directly under it, everything else under
    <prefix>/<pod uid>/."""
