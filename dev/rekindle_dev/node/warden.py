"""The node's last will: a small process that outlives the node and then ends what the node's containers left behind.

It waits until its standard input is closed, which happens however the node ends, and then kills every process that
carries the node's marker.
"""

import subprocess
import sys
import time

from rekindle_dev.node.processtable import kill_marked


def start(instance: str) -> subprocess.Popen[bytes]:
    """Start the warden of a node instance; close its standard input to make it act."""
    return subprocess.Popen(
        [sys.executable, "-m", __name__, instance],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def main() -> None:
    """Wait for the node's end, then kill what it left."""
    instance = sys.argv[1]
    sys.stdin.buffer.read()
    while kill_marked(f"{instance}/"):
        time.sleep(0.005)


if __name__ == "__main__":
    main()
