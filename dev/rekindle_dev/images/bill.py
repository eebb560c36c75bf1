"""What an image holds, as a bill of materials: Debian's packages and Python's.

References:
    CycloneDX 1.6, https://cyclonedx.org/docs/1.6/json/
    Package URL, https://github.com/package-url/purl-spec
"""

import json
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rekindle_dev.images.building import contents

Component = dict[str, Any]


def write_bill(image: str, path: Path) -> Path:
    """Write the bill of an image, and return where it is.

    Raises:
        PartError: if there is no such image.
    """
    with contents(image) as root:
        bill = bill_of(root, image)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n")
    return path


def bill_of(root: Path, image: str) -> dict[str, Any]:
    """Return the bill of the file system of an image: the same files make the same bill."""
    found = sorted([*_debian(root), *_python(root)], key=lambda each: str(each["purl"]))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "container", "bom-ref": "image", "name": image},
            "tools": {
                "components": [{"type": "application", "name": "rekindle_dev.images", "version": version("rekindle")}]
            },
        },
        "components": found,
    }


def _debian(root: Path) -> Iterator[Component]:
    status = root / "var/lib/dpkg/status"
    if not status.exists():
        return
    for block in status.read_text().split("\n\n"):
        fields = HeaderParser().parsestr(block)
        if str(fields.get("Status", "")).endswith(" installed"):
            name, number = fields["Package"], fields["Version"]
            yield _component(f"pkg:deb/debian/{name}@{number}?arch={fields['Architecture']}", name, number)


def _python(root: Path) -> Iterator[Component]:
    for metadata in root.glob("opt/rekindle/lib/python3*/site-packages/*.dist-info/METADATA"):
        fields = HeaderParser().parsestr(metadata.read_text(errors="replace"))
        name = fields["Name"].lower().replace("_", "-").replace(".", "-")
        component = _component(f"pkg:pypi/{name}@{fields['Version']}", name, fields["Version"])
        if licence := _licence(fields):
            component["licenses"] = [{"expression": licence}]
        yield component


def _licence(fields: Message) -> str:
    """Return the SPDX expression that a package states; older ones state free text, which is none."""
    return str(fields.get("License-Expression") or "")


def _component(purl: str, name: str, number: str) -> Component:
    return {"type": "library", "bom-ref": purl, "purl": purl, "name": name, "version": number}
