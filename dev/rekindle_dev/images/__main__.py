"""Builds the images of this checkout: `python -m rekindle_dev.images [TARGET...]`, or `make images`."""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from rekindle_dev.images.bill import write_bill
from rekindle_dev.images.building import TARGETS, build, make_base, size_bytes
from rekindle_dev.processes import PartError


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, and say how large each image is; return the exit status: 0 done, 1 something failed."""
    options = _parser().parse_args(arguments)
    try:
        base = options.base
        if options.local_base:
            with tempfile.TemporaryDirectory() as folder:
                base = make_base(Path(folder))
        for target in options.targets or TARGETS:
            began = time.monotonic()
            name = build(target, source=options.source, base=base, tag=options.tag)
            over = f", {(size_bytes(name) - size_bytes(base)) / 1e6:.0f} MB over its base" if base else ""
            print(
                f"{name}  {size_bytes(name) / 1e6:.0f} MB{over}, built in {time.monotonic() - began:.0f} s", flush=True
            )
            if options.sbom:
                print(f"  {write_bill(name, options.sbom / f'{target}.cdx.json')}", flush=True)
    except (OSError, PartError) as error:
        print(f"rekindle_dev.images: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rekindle_dev.images", description=__doc__)
    parser.add_argument(
        "targets", nargs="*", choices=[[], *TARGETS], metavar="TARGET", help=f"{', '.join(TARGETS)}; all"
    )
    parser.add_argument("--source", type=Path, default=Path.cwd(), help="the checkout (default: this folder)")
    parser.add_argument("--tag", default=version("rekindle"), help="tag of the images (default: %(default)s)")
    parser.add_argument("--base", help="base image (default: the Dockerfile's)")
    parser.add_argument("--local-base", action="store_true", help="make the base by debootstrap; needs root")
    parser.add_argument("--sbom", type=Path, metavar="FOLDER", help="write what each image holds there (CycloneDX)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
