"""An image of one file, as an archive that container runtimes load: what the pause container needs, without a builder.

References:
    https://github.com/moby/docker-image-spec/blob/main/spec.md
"""

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write_image(archive: Path, name: str, program: Path) -> Path:
    """Write the archive of an image with one program in its root, run as nobody, and return where it is."""
    layer = _tar({program.name: (program.read_bytes(), 0o755)})
    digest = hashlib.sha256(layer).hexdigest()
    machine = platform.machine()
    config = json.dumps(
        {
            "architecture": _ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "config": {"Entrypoint": [f"/{program.name}"], "User": "65535:65535"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    identity = hashlib.sha256(config).hexdigest()
    manifest = [{"Config": f"{identity}.json", "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}]
    archive.write_bytes(
        _tar(
            {
                f"{identity}.json": (config, 0o644),
                "manifest.json": (json.dumps(manifest).encode(), 0o644),
                f"{digest}/layer.tar": (layer, 0o644),
            }
        )
    )
    return archive


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    """Return a tar of files by name, each with content and mode; the same files make the same bytes."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()
