"""The program inside a processing pod: fetch, decode, process, encode, commit; also usable alone on local files.

Pure functions on arrays live in `steps`, reading and writing of image files in `imaging`, S3 and signals at the rim.
No Kubernetes client, no database and no other room but `rekindle_crds` may be imported.
"""

from importlib.metadata import version

PROGRAM = f"rekindle-worker {version('rekindle')}"
"""Name and version of this program, as it calls itself in the provenance of a result."""
