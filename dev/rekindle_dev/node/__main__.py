"""`python -m rekindle_dev.node`: run a process node until SIGTERM."""

import argparse
import asyncio
import logging
import os
import shlex
import sys
from pathlib import Path

from rekindle_dev.node.node import Settings, StartError, run
from rekindle_dev.node.scripts import load


def main() -> int:
    """Run the node and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m rekindle_dev.node", description="Runs pods as local processes.")
    parser.add_argument("--kubeconfig", type=Path, required=True, help="how to reach the API server, as an admin")
    parser.add_argument("--directory", type=Path, required=True, help="where the node and its pods write")
    parser.add_argument("--image", action="append", default=[], metavar="NAME=COMMAND", help="what stands for an image")
    parser.add_argument(
        "--idle-image", action="append", default=[], metavar="NAME=MODULE:FUNCTION", help="what plays an idle image"
    )
    parser.add_argument("--pods", type=int, default=110, help="how many pods the node takes (default: %(default)s)")
    parser.add_argument("--name", default="process-node", help="name of the node (default: %(default)s)")
    parser.add_argument("--client-ca", type=Path, help="authority of who may ask for logs (default: the kubeconfig's)")
    parser.add_argument("--ready-file", type=Path, help="written once the node is registered")
    given = parser.parse_args()
    images, scripts = {}, {}
    for image in given.image:
        name, separator, command = image.partition("=")
        if not separator or not command.strip():
            parser.error(f"--image {image}: write NAME=COMMAND")
        images[name] = shlex.split(command)
    for image in given.idle_image:
        name, _, function = image.partition("=")
        try:
            scripts[name] = load(function)
        except (ImportError, AttributeError, ValueError) as error:
            parser.error(f"--idle-image {image}: {error}")
    os.umask(0o077)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="time=%(asctime)s level=%(levelname)s %(message)s"
    )
    settings = Settings(
        kubeconfig=given.kubeconfig,
        directory=given.directory.resolve(),
        images=images,
        scripts=scripts,
        pods=given.pods,
        name=given.name,
        client_authority=given.client_ca,
        ready_file=given.ready_file,
    )
    try:
        asyncio.run(run(settings))
    except StartError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
